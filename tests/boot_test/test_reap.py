"""What a build leaves that is killed in its boot test, and that ``reap`` ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot_test.guest import machines, path_with, stand_in
from tests.host_builds.bench import Bench, until, wait_for
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn


@pytest.fixture
def xapi() -> Iterator[XapiStandIn]:
    with running_xapi() as standin:
        yield standin


def test_the_machine_of_a_killed_build_ends_and_its_image_stays(
    tmp_path: Path, xapi: XapiStandIn
) -> None:
    qemu = tmp_path / "qemu"
    stand_in(qemu, port=1, console="starting\r\n")
    bench = Bench(tmp_path / "bench", xapi, more={"PATH": path_with(qemu)})
    process = bench.build("--boot-test", "qemu")
    wait_for(process, "phase boot-test")
    until(lambda: bool(machines(bench.folder)) and (qemu / "argv.json").exists(), "no machine")
    process.kill()
    process.communicate(timeout=60)
    (machine,) = machines(bench.folder)
    os.kill(machine, 0)  # it lives on

    shown = bench.run("reap", "--run", "last", "--dry-run")
    assert f"would be removed: process: the machine of a boot test, process group {machine}" in (
        shown.out
    )
    os.kill(machine, 0)
    done = bench.run("reap", "--run", "last", "--grace", "5s")
    assert done.code == 0, done.out
    assert f"removed: process: the machine of a boot test, process group {machine}" in done.out
    until(lambda: machines(bench.folder) == [], "the machine goes on")
    left = {path.name for path in bench.runs[0].rglob("*") if path.is_file()}
    assert not {name for name in left if name.startswith("disk-")}, left

    stand_in(qemu, port=1, console="Kernel panic - not syncing: VFS\r\n")
    again = bench.run("build", "--resume", "last")
    assert again.code == 33, again.out  # it was not built again: the image was tested
    assert "The kernel panicked: VFS" in again.out
