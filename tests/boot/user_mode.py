"""A clone started by User Mode Linux: its systemd on its disk, without firmware or boot loader.

The kernel is Debian's package ``user-mode-linux``, a process that runs the guest's programs as they
are: some hundred times less processor time than QEMU without KVM, which makes it the way to look at
many starts. Interfaces are called ``vecN``, disks ``ubdX``; what needs firmware is QEMU's to show.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.boot import disk
from tests.boot.machine import Drive, Machine, drive_image
from tests.boot.network import Network
from tests.templates.needs import program

MODULES = Path("/usr/lib/uml/modules")


def add_modules(copy: Path, work: Path) -> None:
    """Put the kernel's modules on a clone's disk, as its own kernel's are."""
    program("linux.uml", "user-mode-linux", install=True)
    with disk.mounted(copy, work) as system:
        for folder in MODULES.iterdir():
            shutil.copytree(folder, system.root / "usr/lib/modules" / folder.name, symlinks=True)


@contextlib.contextmanager
def started(
    copy: Path,
    network: Network,
    work: Path,
    key: Path,
    *,
    drive: Drive | None,
    slot: int = 0,
    mac: str = "52:54:00:12:34:56",
) -> Iterator[Machine]:
    """Start a clone's disk; ``slot`` is the number in its interface's name."""
    kernel = program("linux.uml", "user-mode-linux", install=True)
    arguments = [
        *(
            "mem=768M",
            f"ubd0={copy}",
            "root=/dev/ubda3",
            "ro",
            "con=null",
            "con0=null,fd:1",
            "stderr=1",
        ),
        *(f"vec{slot}:transport=tap,ifname=tap0,depth=64,mac={mac}", f"uml_dir={work}", "umid=uml"),
        "systemd.default_timeout_start_sec=1800",
        "systemd.default_device_timeout_sec=1800",
    ]
    if drive is not None:
        arguments.append(f"ubd1r={drive_image(drive, work)}")
    command = ["ip", "netns", "exec", network.name, kernel, *arguments]
    with (work / "console.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    machine = Machine(network=network, process=process, work=work, key=key)
    try:
        yield machine
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)
