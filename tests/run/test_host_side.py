"""What is done at the host after a build: bounded, told, and never more than was asked for."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest
import trio.testing

from asyncpipe.errors import HostUnreachableError
from asyncpipe.model.build import HostObjects, UploadedImage
from asyncpipe.model.clean_up import CleanUp
from asyncpipe.model.host import FOR_GOOD
from asyncpipe.run.host.beside import HostSide
from asyncpipe.run.host.parties import BuildHost
from asyncpipe.testing.pool import FakePool
from tests.metadata import documents as make

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@dataclass
class Told:
    """Keeps what it is told."""

    waits: list[tuple[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    journal: dict[str, object] = field(default_factory=dict)

    async def note_host(self, **changes: object) -> None:
        self.journal |= changes

    def warn(self, code: str, message: str) -> None:
        self.warnings.append(f"{code}: {message}")

    def on_waiting(self, what: str, limit_s: float) -> None:
        self.waits.append((what, limit_s))


@dataclass
class Desk:
    """A pool with the VM of a build, and the build's view of it."""

    pool: FakePool = field(default_factory=FakePool)
    told: Told = field(default_factory=Told)
    ended: list[str] = field(default_factory=list)
    logout_hangs: bool = False

    def side(self, **plan: Any) -> HostSide:
        uuid = self.pool.add_vm("debian")
        made = HostObjects(session=True, creating=True, vm_uuid=uuid)

        @asynccontextmanager
        async def opened() -> AsyncIterator[FakePool]:
            yield self.pool

        async def end_session(reference: str) -> None:
            if self.logout_hangs:
                await anyio.sleep_forever()
            self.ended.append(reference)

        host = BuildHost(address="pool.example", open=opened, end_session=end_session)
        return HostSide(
            plan=replace(make.plan(), **plan),
            run_id="r1",
            reports=self.told,
            host=host,
            objects=made,
        )


async def test_a_host_that_is_slow_to_clean_up_is_told_with_the_seconds_left() -> None:
    desk = Desk()
    side = desk.side()
    desk.pool.hang("remove_vm")
    begun_s = anyio.current_time()
    outcome = await side.settle(None)
    assert anyio.current_time() - begun_s <= 66
    assert desk.told.waits == [("the host to remove what is left", 58.0)]
    assert outcome is not None
    assert outcome.clean_up is CleanUp.UNKNOWN
    assert "may still be at the host: the host did not answer within 60 s" in outcome.sentences[0]


async def test_a_host_that_takes_no_mark_does_not_keep_the_journal_from_being_written() -> None:
    desk = Desk()
    side = desk.side()
    made, side.objects = side.objects, HostObjects()
    desk.pool.hang("mark_vdi")
    image = UploadedImage(name="x.iso", vdi_ref="OpaqueRef:1")
    with anyio.fail_after(10):
        async with side.followed():
            side.take(replace(made, vm_uuid="", uploads=(image,)))
            await anyio.sleep(1)
            side.take(replace(made, uploads=(image,)))
            await anyio.sleep(1)
            assert desk.told.journal["instance_uuids"] == (made.vm_uuid,)
            assert desk.told.journal["vdis"] == ("OpaqueRef:1",)


async def test_a_vm_that_the_template_keeps_is_marked_so_for_good() -> None:
    desk = Desk()
    side = desk.side(keep_vm="always")
    outcome = await side.settle(None)
    (vm,) = desk.pool.machines.values()
    assert outcome is not None
    assert outcome.clean_up is CleanUp.KEPT
    assert vm.mark == replace(side.mark, keep_until_utc=FOR_GOOD)
    assert (vm.mark.machine, vm.mark.since_utc) == (platform.node(), side.since_utc)


async def test_a_vm_that_the_template_keeps_and_that_is_gone_is_no_problem() -> None:
    desk = Desk()
    side = desk.side(keep_vm="on_success")
    desk.pool.machines.clear()
    outcome = await side.settle(None)
    assert outcome is not None
    assert outcome.clean_up is CleanUp.KEPT
    assert desk.told.warnings == []


async def test_a_host_that_is_quick_is_not_spoken_of() -> None:
    desk = Desk()
    outcome = await desk.side().settle(None)
    assert outcome is not None
    assert (outcome.clean_up, desk.told.waits, desk.told.warnings) == (CleanUp.REMOVED, [], [])
    assert desk.pool.machines == {}


async def test_the_second_time_nothing_is_done() -> None:
    desk = Desk()
    side = desk.side()
    assert await side.settle(None) is not None
    calls = list(desk.pool.calls)
    assert await side.settle(None, failed=True) is None
    assert desk.pool.calls == calls


async def test_with_keep_a_failed_vm_stays_and_one_of_a_good_build_does_not() -> None:
    for failed, clean_up in ((True, CleanUp.KEPT), (False, CleanUp.REMOVED)):
        desk = Desk()
        outcome = await desk.side(keep_failed_s=60.0).settle(None, failed=failed)
        assert outcome is not None
        assert outcome.clean_up is clean_up
        assert bool(desk.pool.machines) == failed


@pytest.mark.parametrize("reachable", [True, False])
async def test_the_sessions_of_the_plugin_are_ended_whatever_became_of_the_rest(
    reachable: bool,
) -> None:
    desk = Desk()
    side = desk.side()
    if not reachable:
        desk.pool.fail("vms", HostUnreachableError("no answer"))
    side.hear_session("OpaqueRef:1")
    await side.settle(None)
    assert desk.ended == ["OpaqueRef:1"]
    assert "OpaqueRef:1" not in repr(side)


async def test_a_logout_that_hangs_does_not_hold_the_end_up() -> None:
    desk = Desk(logout_hangs=True)
    side = desk.side(grace_s=4.0)
    for number in range(20):
        side.hear_session(f"OpaqueRef:{number}")
    begun_s = anyio.current_time()
    await side.settle(None)
    assert anyio.current_time() - begun_s <= 2


async def test_an_image_that_may_be_this_builds_is_named() -> None:
    desk = Desk()
    side = desk.side()
    image = desk.pool.add_vdi("x.iso", is_iso=True)
    side.objects = replace(side.objects, uploads=(UploadedImage(name="x.iso"),))
    outcome = await side.settle(None)
    assert outcome is not None
    assert outcome.clean_up is CleanUp.REMAINS
    assert f"xe vdi-destroy uuid={image}" in outcome.sentences[0]
