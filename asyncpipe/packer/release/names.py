"""What a release is called, where it is published, and where ours lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.packer.release.constraint import parsed
from asyncpipe.system.environment import cache_folder
from asyncpipe.text.safe import printable

MIRROR: Final = "https://releases.hashicorp.com"
DEFAULT_VERSION: Final = "1.16.0"  # the newest that our tests build with
PROGRAM: Final = "packer"

# uname's names -> those of HashiCorp's archives (Go's GOOS and GOARCH)
_MACHINES: Final = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i386": "386",
    "i686": "386",
    "armv6l": "arm",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
}


def platform_of(system: str, machine: str) -> str:
    """``linux_amd64``: what HashiCorp calls the platform that uname calls ``Linux``, ``x86_64``.

    Raises:
        UsageError: HashiCorp builds nothing for such a machine.
    """
    known = _MACHINES.get(machine.lower())
    if known is None:
        raise UsageError(
            f"HashiCorp publishes no Packer for {printable(machine, 40)}.",
            hint="Build it from source, and name it with --packer PATH or PACKER=PATH.",
        )
    return f"{system.lower()}_{known}"


def exact_version(text: str) -> str:
    """``1.11.2`` from ``v1.11.2`` or ``1.11.2``.

    Raises:
        UsageError: not a release's number.
    """
    version = text.strip().removeprefix("v")
    if re.fullmatch(r"\d+\.\d+\.\d+", version) is None:
        raise UsageError(
            f"{printable(text, 80)!r} is not a version of Packer.",
            hint=f"Write for example {DEFAULT_VERSION}.",
        )
    return version


def folder_url(mirror: str, version: str) -> str:
    """The folder of one release below a mirror that is laid out as releases.hashicorp.com is."""
    return f"{mirror.rstrip('/')}/{PROGRAM}/{version}"


def releases_folder(environment: Mapping[str, str]) -> Path | None:
    """Where installed releases lie, each in a folder named after its version; None: no home."""
    cache = cache_folder(environment)
    return cache / PROGRAM if cache else None


def installed(folder: Path | None) -> list[Path]:
    """Programs of the installed releases, the newest first."""
    if folder is None:
        return []
    found = [(parsed(program.parent.name), program) for program in folder.glob(f"*/{PROGRAM}")]
    return [program for version, program in sorted(found, reverse=True) if version is not None]
