"""A disk that stalls is given up: by its limit, and soon after a cancellation."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from asyncpipe.system import disk as disks
from asyncpipe.system.disk import Disk

pytestmark = pytest.mark.anyio


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What a call waits for that hangs; it is let go at the end."""
    monkeypatch.setattr(disks, "GRACE_S", 0.1)
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_returns_and_raises_as_the_function_does() -> None:
    disk = Disk("x")
    assert await disk.call(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await disk.call(divmod, 7, 0)


async def test_a_disk_that_does_not_answer_is_given_up(stalled: threading.Event) -> None:
    disk = Disk("x")
    with anyio.fail_after(30):
        with pytest.raises(TimeoutError, match=r"has not answered for 0\.05 s"):
            await disk.call(stalled.wait, limit_s=0.05)
        assert disk.is_lost
        with pytest.raises(TimeoutError):
            await disk.call(divmod, 7, 2)


async def test_a_cancelled_caller_is_let_go_while_the_disk_hangs(stalled: threading.Event) -> None:
    disk = Disk("x")
    with anyio.fail_after(30):
        with anyio.move_on_after(0.05) as scope:
            await disk.call(stalled.wait)
        assert scope.cancelled_caught
        assert disk.is_lost


async def test_a_cancelled_caller_waits_for_a_call_that_ends_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disks, "GRACE_S", 30.0)
    disk, event = Disk("x"), threading.Event()
    with anyio.fail_after(30), anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(disk.call, event.wait)
            await checkpoint()
            scope.cancel()
            event.set()
    assert not disk.is_lost
    assert await disk.call(divmod, 7, 2) == (3, 1)


async def test_what_is_left_for_later_comes_after_the_call_that_hung(
    stalled: threading.Event,
) -> None:
    disk, done = Disk("x"), threading.Event()
    order: list[str] = []

    def hang() -> None:
        stalled.wait()
        order.append("call")

    def end() -> None:
        order.append("later")
        done.set()

    with anyio.fail_after(30):
        with pytest.raises(TimeoutError):
            await disk.call(hang, limit_s=0.05)
        disk.later(end)
        stalled.set()
        await anyio.to_thread.run_sync(done.wait)
    assert order == ["call", "later"]
