"""``kill -9`` of a boot test whose machine is a real QEMU: ``reap`` leaves nothing.

The kills are spread over what a start goes through. The moments within each phase are random:
``ASYNCPIPE_SEED`` repeats the draws of a run, which prints its seed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot import disk
from tests.boot.real import work_folder, xva_of
from tests.e2e.command import Desk

pytestmark = [pytest.mark.heavy("boot-test"), pytest.mark.timeout(1200)]

KILLS = 30
SPREAD_S = 2.0  # of the moments within a phase
LIMIT_S = 300.0
SEED = int(os.environ.get("ASYNCPIPE_SEED") or time.time_ns() % 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a boot test: it has begun once ``began`` holds of the test's folder."""

    name: str
    began: Callable[[Path], bool]


def _exists(pattern: str) -> Callable[[Path], bool]:
    return lambda folder: any(folder.glob(f".asyncpipe/boot-tests/*/{pattern}"))


def _said(words: bytes) -> Callable[[Path], bool]:
    """The console of the test's machine, which is in its log, has these words."""

    def began(folder: Path) -> bool:
        logs = folder.glob(".asyncpipe/boot-tests/*/boot-test.log")
        return any(words in log.read_bytes() for log in logs)

    return began


PHASES = (
    Phase(name="reading the XVA", began=_exists("")),
    Phase(name="starting QEMU", began=lambda folder: bool(processes(folder))),
    Phase(name="firmware", began=_said(b"SeaBIOS")),
    Phase(name="kernel", began=_said(b"Linux version")),
    Phase(name="waiting for SSH", began=_said(b"systemd[1]")),
)


@pytest.fixture(scope="module")
def xva() -> Iterator[Path]:
    print(f"ASYNCPIPE_SEED={SEED}")  # noqa: T201
    with work_folder() as work:
        raw = work / "debian12.raw"
        disk.copy(disk.provisioned_disk("bookworm", "baseline", work), raw)
        with disk.mounted(raw, work) as system:
            grub = system.root / "boot/grub/grub.cfg"
            grub.write_text(grub.read_text().replace(" quiet", ""))  # the kernel's phase shows
        yield xva_of(work, raw)


def processes(folder: Path) -> set[int]:
    """QEMU processes that have anything to do with the folder: argument, variable, directory."""
    mark = f"{folder}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                started = (entry / "cmdline").read_bytes()
                where = os.fsencode((entry / "cwd").readlink())
                known = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"qemu-system" in started and mark in started + known + where:
                found.add(int(entry.name))
    return found


def open_files(folder: Path) -> set[str]:
    """Files of the folder that somebody holds open, also those that have no name any more."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(f"{folder}/"):
            found.add(target)
    return found


def until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not holds():
        assert process.poll() is None, "the test ended before it was killed"
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.mark.parametrize("number", range(KILLS))
def test_whenever_a_real_one_is_killed_reap_leaves_nothing(
    number: int, xva: Path, tmp_path: Path
) -> None:
    phase = PHASES[number % len(PHASES)]
    after_s = random.Random(f"{SEED}-{number}").uniform(0, SPREAD_S)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "desk").mkdir()
    desk = Desk(tmp_path / "desk", environment={"TMPDIR": str(temporary)})
    desk.environment["TMPDIR"] = str(temporary)
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncpipe", "boot-test", str(xva)],
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: phase.began(desk.folder), process)
        time.sleep(after_s)
    finally:
        process.kill()
        process.wait(60)
    left, machines = desk.files(".asyncpipe"), processes(desk.folder)
    print(f"{phase.name} + {after_s:.2f} s: {sorted(left)}, {len(machines)} QEMU")  # noqa: T201
    assert left
    done = desk.run("reap", "--yes")
    assert done.code == 0, done.all
    assert processes(desk.folder) == set()
    assert open_files(tmp_path) == set()
    assert desk.files(".asyncpipe") == set()
    assert list(temporary.iterdir()) == []
    assert not list((desk.folder / ".asyncpipe/boot-tests").glob("*"))
