"""The boot test at a host, against the stand-in for XAPI and a real SSH server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.boot import trial
from asyncpipe.boot.host import running
from asyncpipe.boot.host.clone import Places
from asyncpipe.boot.host.hosted import HostTester
from asyncpipe.boot.host.running import address_in
from asyncpipe.errors import (
    BootTestNotRunError,
    HostError,
    HostFullError,
    HostMissingError,
    XvaInvalidError,
)
from asyncpipe.model.boot.machine import GROWN_BYTES, Subject
from asyncpipe.model.boot.result import BootHow, BootResult
from asyncpipe.model.documents import host_boot
from asyncpipe.model.host import KEEP_UNTIL_KEY, RUN_KEY, mark_in
from tests.boot_test.at_host import host_with_guest
from tests.boot_test.guest import GOOD, Guest
from tests.host.access import access_to
from tests.host.sources import SIZE_MIB, source_of, xva
from tests.xapi_standin.standin import XapiStandIn
from tests.xapi_standin.state import Boot
from tests.xva import samples

pytestmark = pytest.mark.anyio
SLOW = pytest.mark.heavy("crash")
SUBJECT = Subject(run_id="20261127T120000Z-0123abcd", unit="debian-12")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Bench:
    """One host with one guest, and a test that waits no longer than it must."""

    def __init__(self, xapi: XapiStandIn, guest: Guest, folder: Path) -> None:
        self.xapi, self.guest = xapi, guest
        self.folder = folder / "boot-test"
        self.log = b""
        self.places = Places()

    async def test(self, data: bytes | None = None, *, login_s: float = 20.0) -> BootResult:
        tester = HostTester(
            lambda _: access_to(self.xapi), self.places, ssh_port=self.guest.port, login_s=login_s
        )
        source = source_of(xva() if data is None else data, sha256_hex=None)
        with anyio.fail_after(60):
            return await tester.test(source, self.folder, self._feed, SUBJECT)

    async def _feed(self, data: bytes) -> None:
        self.log += data

    def assert_clean(self) -> None:
        """Nothing is left at the host, and nothing here."""
        assert self.xapi.left() == {}
        assert not self.folder.exists()

    def at_call(self, wanted: str, act: Any, number: int = 1) -> None:
        """Call ``act`` in a server thread when ``wanted`` is called for the nth time."""
        count = 0

        def hook(method: str) -> None:
            nonlocal count
            count += method == wanted
            if method == wanted and count == number:
                act()

        self.xapi.on_call = hook


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(trial, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(trial, "_TRY_EVERY_S", 0.05)
    monkeypatch.setattr(running, "_LOOK_EVERY_S", 0.05)
    with host_with_guest(tmp_path / "guest") as (xapi, guest):
        yield Bench(xapi, guest, tmp_path)


async def test_an_image_that_comes_up_passes_and_leaves_nothing(bench: Bench) -> None:
    seen: dict[str, Any] = {}

    def look() -> None:
        state = bench.xapi.state
        (vm,) = [one for one in state.tables["VM"].values() if "boot test" in one["name_label"]]
        seen["vm"] = mark_in(vm["other_config"], vm["uuid"])
        seen["disks"] = [
            (int(vdi["virtual_size"]), mark_in(vdi["other_config"], vdi["uuid"]))
            for vdi in state.tables["VDI"].values()
        ]
        seen["note"] = (bench.folder / host_boot.NAME).read_bytes()
        seen["cards"] = len(state.tables["VIF"])

    bench.at_call("VM.clean_shutdown", look)
    result = await bench.test()
    assert result.passed, result
    assert result.how is BootHow.HOST
    assert result.accelerated
    assert not result.remains
    assert "guest-agent: it reports to the host" in [f"{c.name}: {c.says}" for c in result.checks]
    assert b"no serial console" in bench.log
    assert (seen["vm"].run_id, seen["vm"].unit) == (SUBJECT.run_id, SUBJECT.unit)
    (image_bytes, mark), (drive_bytes, _) = seen["disks"]
    assert image_bytes == SIZE_MIB * 1024**2 + GROWN_BYTES
    assert mark.run_id == SUBJECT.run_id
    assert drive_bytes == 4 * 1024**2
    assert seen["cards"] == 1
    note = host_boot.decode(seen["note"])
    assert (note.run_id, note.unit, note.host) == (
        SUBJECT.run_id,
        SUBJECT.unit,
        bench.xapi.address,
    )
    bench.assert_clean()


@pytest.mark.parametrize(
    ("boot", "guest", "reason"),
    [
        (Boot(restarts=True), {"port": 1}, "boot-loop"),
        (Boot(halts=True), {"port": 1}, "switched-off"),
        (Boot(networks={}), {}, "no-network"),
        (Boot(), {"refuses": True}, "cloud-init-off"),
        pytest.param(Boot(has_agent=False), {}, "timeout", marks=SLOW),
        pytest.param(Boot(), {"port": 1}, "timeout", marks=SLOW),
        pytest.param(
            Boot(), {"facts": {**GOOD, "failed-unit": ("x.service",)}}, "checks", marks=SLOW
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_image_that_fails_gets_its_reason_and_leaves_nothing(
    bench: Bench, boot: Boot, guest: dict[str, Any], reason: str
) -> None:
    bench.xapi.state.boot = boot
    for name, value in guest.items():
        setattr(bench.guest, name, value)
    result = await bench.test(login_s=1.5)
    assert result.reason is not None
    assert result.reason.value == reason, result
    assert result.screenshot == b""
    bench.assert_clean()


async def test_a_machine_id_that_is_in_the_image_is_found_across_its_chunks(bench: Bench) -> None:
    shared = b"0123456789abcdef" * 2
    disk = samples.disk("Ref:10", 2 * samples.MIB)
    disk.chunks[0] = disk.chunks[0][:-16] + shared[:16]
    disk.chunks[1] = shared[16:] + disk.chunks[1][16:]
    bench.guest.facts["machine-id"] = (shared.decode(),)
    result = await bench.test(samples.pack(samples.members_of([disk])))
    assert f"machine-id: {shared.decode()} is in the image itself" in result.says
    bench.assert_clean()


@pytest.mark.parametrize("wanted", ["network", "storage", "room"])
async def test_a_host_without_a_place_for_it_says_so_before_anything_is_sent(
    bench: Bench, wanted: str
) -> None:
    error: type[HostError] = HostMissingError
    if wanted == "room":
        error = HostFullError
        bench.xapi.record("SR", "Local storage")["other_bytes"] = 100 * 1024**3 - 1024**2
    else:
        bench.places = Places(**{wanted: "Nowhere"})
    with pytest.raises(error, match="1.0 MiB free" if wanted == "room" else "'Nowhere'"):
        await bench.test()
    assert not bench.xapi.made("PUT /import")
    bench.assert_clean()


async def test_the_machine_gets_one_card_on_the_network_that_was_asked_for(bench: Bench) -> None:
    network = bench.xapi.state.add("network", name_label="Lab")
    bench.places = Places(network="Lab")
    networks: list[str] = []
    cards = bench.xapi.state.tables["VIF"]
    bench.at_call("VM.start", lambda: networks.extend(one["network"] for one in cards.values()))
    assert (await bench.test()).passed
    assert networks == [network]


@SLOW
async def test_an_image_without_a_card_gets_one_on_the_management_network(bench: Bench) -> None:
    data = samples.pack(samples.members_of([samples.disk("Ref:10", 2 * samples.MIB)]))
    networks: list[str] = []
    cards = bench.xapi.state.tables["VIF"]
    bench.at_call("VM.start", lambda: networks.extend(one["network"] for one in cards.values()))
    assert (await bench.test(data)).passed
    assert networks == [bench.xapi.ref("network", "Pool-wide network associated with eth0")]


ORDINARY = {"PUT /import", "VDI.create", "VM.start"}
CALLS = (
    "PUT /import",
    "VM.add_to_other_config",
    "VM.set_name_label",
    "VDI.resize",
    "VDI.create",
    "PUT /import_raw_vdi",
    "VBD.create",
    "VM.start",
    "VM_guest_metrics.get_record",
    "VM.clean_shutdown",
)


def each_call(methods: Iterable[str]) -> list[Any]:
    """Some in the ordinary suite, the others in a heavy group: each costs a second."""
    heavy = pytest.mark.heavy("crash")
    return [pytest.param(one, marks=[] if one in ORDINARY else [heavy]) for one in methods]


@pytest.mark.parametrize("method", each_call(CALLS))
async def test_cancelled_at_any_call_nothing_is_left(bench: Bench, method: str) -> None:
    loop, scope = asyncio.get_running_loop(), anyio.CancelScope()
    bench.xapi.faults.delays_s[method.removeprefix("PUT ")] = 0.2  # it goes on meanwhile
    bench.at_call(method, lambda: loop.call_soon_threadsafe(scope.cancel))
    with scope:
        await bench.test()
    assert scope.cancelled_caught
    bench.assert_clean()


async def test_a_start_that_goes_on_although_nobody_waits_is_ended(bench: Bench) -> None:
    loop, scope = asyncio.get_running_loop(), anyio.CancelScope()
    bench.xapi.faults.delays_s["VM.start"] = 0.7
    bench.xapi.faults.heeds_cancel = False
    bench.at_call("VM.start", lambda: loop.call_soon_threadsafe(scope.cancel))
    with scope:
        await bench.test()
    assert bench.xapi.made("VM.hard_shutdown")
    bench.assert_clean()


@pytest.mark.parametrize("method", each_call(CALLS))
async def test_a_host_that_refuses_any_call_leaves_nothing_and_blames_no_image(
    bench: Bench, method: str
) -> None:
    method = method.removeprefix("PUT ")
    if method in {"VM.clean_shutdown", "VM_guest_metrics.get_record"}:
        bench.xapi.faults.fail(method, "INTERNAL_ERROR", "it is stuck", times=1)
        assert (await bench.test()).passed  # the power is cut; the next look has it
    else:
        bench.xapi.faults.fail(method, "INTERNAL_ERROR", "it is stuck")
        with pytest.raises(HostError):
            await bench.test()
    bench.assert_clean()


async def test_no_host_to_start_it_on_is_said_in_words(bench: Bench) -> None:
    bench.xapi.faults.fail("VM.start", "HOST_NOT_ENOUGH_FREE_MEMORY", "1", "0")
    with pytest.raises(HostError, match="no host has enough free memory"):
        await bench.test()
    bench.assert_clean()


@SLOW
async def test_a_vm_that_somebody_removes_is_lost_and_says_nothing_about_the_image(
    bench: Bench,
) -> None:
    bench.guest.port = 1

    def remove() -> None:
        state = bench.xapi.state
        with state.lock:
            for ref, vm in list(state.tables["VM"].items()):
                if vm["power_state"] == "Running" and not vm["is_control_domain"]:
                    state.destroy_vm(ref)

    bench.at_call("VM_guest_metrics.get_record", remove, number=3)
    with pytest.raises(BootTestNotRunError, match="somebody removed its VM from the host"):
        await bench.test()
    bench.xapi.on_call = None
    assert [name for name in bench.xapi.vdis() if "boot test" in name] == []


async def test_an_xva_that_is_not_valid_is_not_started(bench: Bench) -> None:
    with pytest.raises(XvaInvalidError):
        await bench.test(b"not an XVA" * 1000)
    assert not bench.xapi.made("VM.start")
    bench.assert_clean()


async def test_what_the_exported_vm_and_its_disks_carried_means_nothing(bench: Bench) -> None:
    state = bench.xapi.state
    stale = {RUN_KEY: "20261126T000000Z-00000000", KEEP_UNTIL_KEY: "99991231T235959Z"}
    found: list[dict[str, str]] = []

    def carry() -> None:
        for vdi in state.tables["VDI"].values():
            vdi["other_config"].update(stale)

    def hook(method: str) -> None:
        if method == "task.get_result":
            carry()
        if method == "VM.start":
            found.extend(dict(vdi["other_config"]) for vdi in state.tables["VDI"].values())

    bench.xapi.on_call = hook
    assert (await bench.test()).passed
    assert found[0][RUN_KEY] == SUBJECT.run_id
    assert KEEP_UNTIL_KEY not in found[0]
    bench.assert_clean()


async def test_what_cannot_be_removed_is_named_and_its_note_stays(bench: Bench) -> None:
    bench.xapi.faults.fail("VM.destroy", "INTERNAL_ERROR", "it is stuck")
    result = await bench.test()
    assert result.passed
    assert "xe vm-destroy uuid=" in result.remains[0]
    assert [path.name for path in bench.folder.iterdir()] == [host_boot.NAME]


@SLOW
async def test_after_a_restart_of_the_toolstack_it_logs_in_again_to_clean_up(bench: Bench) -> None:
    bench.guest.port = 1

    def restart() -> None:
        with bench.xapi.state.lock:
            bench.xapi.state.tables["session"].clear()

    bench.at_call("VM_guest_metrics.get_record", restart, number=2)
    result = await bench.test(login_s=2.0)
    assert not result.passed
    bench.assert_clean()


@pytest.mark.parametrize(
    ("networks", "address"),
    [
        ({"0/ip": "192.0.2.7", "0/ipv6/0": "2001:db8::7"}, "192.0.2.7"),
        ({"0/ipv6/0": "fe80::1", "0/ipv6/1": "2001:db8::7"}, "2001:db8::7"),
        ({"0/ip": "169.254.3.4"}, None),
        ({"0/ip": "mail.example; rm -rf /", "1/ip": ""}, None),
        ({}, None),
    ],
)
def test_of_what_a_guest_reports_only_a_usable_address_counts(
    networks: dict[str, str], address: str | None
) -> None:
    assert address_in(networks) == address
