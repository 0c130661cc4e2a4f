"""What the heavy tests need of the machine: found, installed from Debian, or a reason to skip."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Where what takes minutes to make is kept between runs, outside of the repository."""
    named = os.environ.get("ASYNCPIPE_TEST_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "asyncpipe-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(name: str, package: str, *, install: bool = False) -> str:
    """Path of a program; root may get it from Debian's package, all others skip by its name."""
    if found := shutil.which(name):
        return found
    if install and os.geteuid() == 0 and shutil.which("apt-get"):
        _apt_install(package)
        if found := shutil.which(name):
            return found
    pytest.skip(f"{name} is missing: apt install {package}")


def _apt_install(package: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
        subprocess.run(
            ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *command],
            env=quiet,
            check=False,
            timeout=600,
            stdout=subprocess.DEVNULL,
        )


def need_root() -> None:
    """Skip unless root: mounting, chroot and debootstrap are root's."""
    if os.geteuid() != 0:
        pytest.skip("needs root: chroot, mount and debootstrap")
