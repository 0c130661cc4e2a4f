"""What the plugin's lines say about the host, and what a guest cannot make them say."""

from __future__ import annotations

import anyio
import pytest

from asyncpipe.model.build import HostObjects, Phase
from asyncpipe.packer.progress import BuildProgress
from tests.packer.recordings import lines_of

UUID = "9b242b39-0497-46ee-91f0-5dc8e423dfd6"
OTHER = "0a1b2c3d-0000-4000-8000-0123456789ab"


def _read(*lines: str) -> tuple[HostObjects, list[HostObjects]]:
    heard: list[HostObjects] = []

    async def read() -> HostObjects:
        progress = BuildProgress(lambda _: None, heard.append)
        for line in lines:
            progress.take_line(line)
        return progress.host

    return anyio.run(read), heard


def test_all_that_a_build_made_is_known() -> None:
    host, heard = _read(*lines_of("xcp-ok-plain"))
    assert host.vm_uuid == UUID
    assert host.iso is not None
    assert host.iso.url == "file:///srv/build/run/tiny.iso"
    assert host.iso.path == "/srv/build/run/tiny.iso"
    image = host.uploads[0]
    assert image.name == host.iso_vdi_name == "tiny.iso"
    assert image.vdi_ref == "OpaqueRef:3f6888b2-f5b0-49c8-b659-dbe075549669"
    assert image.task_ref == "OpaqueRef:afad3d31-8e4f-4815-a165-c95ac5f0afd3"
    assert host.session
    assert host.cleanup_problems == ()
    assert host.reused_iso == ""
    assert heard[-1] == host


def test_it_is_known_while_the_line_appears_not_at_the_end() -> None:
    lines = lines_of("xcp-ok-plain")
    created = next(i for i, line in enumerate(lines) if "Created instance" in line)
    host, _ = _read(*lines[: created + 1])
    assert host.vm_uuid == UUID


def test_a_vdi_that_was_there_before_is_told_from_an_upload() -> None:
    host, _ = _read(
        "==> x.d: Attemping to find VDI 'tiny.iso'",
        "==> x.d: Step: Checking for pre-existing templates",
        "==> x.d: Step: Create Instance",
    )
    assert host.reused_iso == "tiny.iso"


@pytest.mark.parametrize(
    "line",
    [f"Created instance '{OTHER}'", "Step: Upload VDI 'precious.iso'", "Trying http://evil/x.iso"],
)
def test_a_guest_cannot_name_objects_of_the_host(line: str) -> None:
    before = ["==> x.d: XAPI client session established", "==> x.d: Step: Create Instance"]
    begun = [*before, f"==> x.d: Created instance '{UUID}'", "==> x.d: Step: Start VM Paused"]
    assert _read(*begun, f"==> x.d: {line}")[0] == _read(*begun)[0]


def test_a_second_instance_of_one_build_is_not_believed() -> None:
    host, _ = _read(
        "==> x.d: Step: Create Instance",
        f"==> x.d: Created instance '{UUID}'",
        f"==> x.d: Created instance '{OTHER}'",
    )
    assert host.vm_uuid == UUID


def test_a_clean_up_that_failed_is_kept_with_its_reason() -> None:
    host, _ = _read(
        "==> x.d: Step: export artifact",
        "==> x.d: Download completed: out",
        "==> x.d: Destroying VM",
        "==> x.d: API Error: VM_BAD_POWER_STATE x running halted",
        "==> x.d: Destroying VDI 0",
        "==> x.d: Can't destroy VDI 'u': API Error: VDI_IN_USE x",
        "Build 'x.d' finished after 1 second.",
    )
    assert host.cleanup_problems == (
        "Destroying VM: API Error: VM_BAD_POWER_STATE x running halted",
        "Can't destroy VDI 'u': API Error: VDI_IN_USE x",
    )


def test_the_error_of_a_failed_build_is_not_taken_for_one_of_the_clean_up() -> None:
    host, _ = _read(
        "==> x.d: Step: export artifact",
        "==> x.d: Could not download XVA: unexpected EOF",
        "==> x.d: Destroying VM",
        "==> x.d: Destroying VDI 0",
        "==> x.d: Destroyed VDI 'tiny.iso'",
        "==> x.d: Deleting output directory...",
        "Build 'x.d' errored after 1 second: Build was halted.",
    )
    assert host.cleanup_problems == ()


@pytest.mark.parametrize("name", ["xcp-cancel-export-TERM-pid", "xcp-cancel-wait-ip-INT-pgid"])
def test_a_clean_cancel_has_no_problem(name: str) -> None:
    assert _read(*lines_of(name))[0].cleanup_problems == ()


def test_stopping_is_the_last_phase_whatever_packer_says_then() -> None:
    phases: list[Phase] = []

    async def read() -> None:
        progress = BuildProgress(phases.append)
        progress.take_line("==> x.d: Step: export artifact")
        progress.stop()
        progress.take_line("==> x.d: Destroying VM")

    anyio.run(read)
    assert phases == [Phase.EXPORT, Phase.STOPPING]


def test_what_is_made_while_packer_is_being_stopped_is_known() -> None:
    async def read() -> HostObjects:
        progress = BuildProgress(lambda _: None)
        progress.take_line("==> x.d: Step: Upload VDI 'x.iso'")
        progress.stop()
        progress.take_line("==> x.d: PUT 'https://h/import_raw_vdi?vdi=OpaqueRef%3A1'")
        return progress.host

    assert anyio.run(read).uploads[0].vdi_ref == "OpaqueRef:1"
