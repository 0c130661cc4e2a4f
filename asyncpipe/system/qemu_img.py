"""A raw disk as qcow2, VHD or VMDK, by qemu-img."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.text.safe import printable

RAW: Final = "raw"
# qemu-img(1): the driver, and its options; VHD is called vpc there, and force_size keeps a disk's
# size to the byte where a VHD's cylinders and heads would round it up
_DRIVERS: Final = {
    "qcow2": ("qcow2", ""),
    "vhd": ("vpc", "subformat=dynamic,force_size=on"),
    "vmdk": ("vmdk", "subformat=streamOptimized"),
}
FORMATS: Final = (RAW, *_DRIVERS)
_STOP_S: Final = 10.0


def format_of(output: Path) -> str:
    """Return the format that the name of a file asks for; raw where it asks for none."""
    ending = output.suffix.removeprefix(".").lower()
    return ending if ending in _DRIVERS else RAW


def find_converter() -> str:
    """Return where qemu-img is.

    Raises:
        UsageError: it is not installed.
    """
    found = shutil.which("qemu-img")
    if found is None:
        raise UsageError(
            "Only qemu-img writes this format, and it is not installed.",
            hint="Install it (Debian, Ubuntu: qemu-utils; Red Hat: qemu-img), or use --format raw.",
        )
    return found


def convert(program: str, raw: Path, target: Path, format_: str) -> None:
    """Write ``raw`` as a new file ``target``; on failure the caller removes what is there.

    Raises:
        UsageError: qemu-img failed; it says why.
    """
    driver, options = _DRIVERS[format_]
    argv = [program, "convert", "-f", "raw", "-O", driver, *(("-o", options) if options else ())]
    child = subprocess.Popen(
        [*argv, "--", str(raw.absolute()), str(target.absolute())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, said = child.communicate()
    except BaseException:
        child.terminate()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    if child.returncode:
        why = printable(said.decode("utf-8", "replace").strip(), 500)
        raise UsageError(f"qemu-img could not write {target.name}: {why or child.returncode}")
