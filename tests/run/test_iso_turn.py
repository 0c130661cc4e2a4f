"""Builds that share an ISO by its name take turns."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import HostError
from asyncpipe.run.host.iso_turn import turn

pytestmark = pytest.mark.anyio


async def _nobody() -> str:
    return ""


async def test_two_builds_of_one_image_take_turns_and_the_second_says_what_it_waits_for(
    tmp_path: Path,
) -> None:
    inside: list[str] = []
    waits: list[str] = []

    async def build(name: str) -> None:
        async with turn(tmp_path / "locks", "h/x.iso", _nobody, lambda what, _: waits.append(what)):
            inside.append(name)
            await anyio.sleep(0.05)
            assert inside == [name]
            inside.remove(name)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(build, "a")
            tasks.start_soon(build, "b")
    assert len(waits) == 1
    assert "which uses the ISO x.iso" in waits[0]


async def test_other_images_do_not_wait(tmp_path: Path) -> None:
    with anyio.fail_after(10):
        async with (
            turn(tmp_path / "locks", "h/x.iso", _nobody, lambda *_: None),
            turn(tmp_path / "locks", "h/y.iso", _nobody, lambda *_: None),
        ):
            pass


async def test_a_build_elsewhere_is_waited_for_and_in_the_end_named(tmp_path: Path) -> None:
    async def somebody() -> str:
        return "20261123T170000Z-0a1b2c3d"

    with anyio.fail_after(10), pytest.raises(HostError, match="0a1b2c3d") as caught:
        async with turn(tmp_path / "locks", "h/x.iso", somebody, lambda *_: None, limit_s=0.0):
            pass
    assert "reap --run" in caught.value.hint
