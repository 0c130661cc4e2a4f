"""The command line on real disks: a folder for them, the command, an XVA of a disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.templates.needs import need_root, program

LIMIT_S = 7200


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A folder for disks, where QEMU is installed; all in it goes."""
    need_root()
    program("qemu-system-x86_64", "qemu-system-x86", install=True)
    folder = Path(tempfile.mkdtemp(prefix="boot-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def asyncpipe(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "asyncpipe", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    print(f"asyncpipe {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")  # noqa: T201
    return done


def well(folder: Path, *arguments: str, **environment: str) -> str:
    done = asyncpipe(folder, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def xva_of(folder: Path, raw: Path, firmware: str = "bios") -> Path:
    xva = folder / f"{raw.stem}.xva"
    create = ("xva", "create", "--name", raw.stem, "--firmware", firmware, "--memory", "1GiB")
    well(folder, *create, "--template", "--disk", str(raw), "-o", str(xva))
    return xva
