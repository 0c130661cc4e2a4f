"""Fetch a release of Packer, check it, and put it into the user's cache in one step."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio.to_thread

from asyncpipe.packer.release import names
from asyncpipe.packer.release.constraint import parsed, satisfies
from asyncpipe.packer.release.signature import ReleaseError, expected_sha256_hex
from asyncpipe.system.files import make_folder, sync_path

_MIB: Final = 1024 * 1024
_SUMS_BYTES: Final = _MIB
_INDEX_BYTES: Final = 32 * _MIB  # packer's index.json has about 1 MiB
_ARCHIVE_BYTES: Final = 512 * _MIB  # 1.16.0: 57 MiB
_PROGRAM_BYTES: Final = 1024 * _MIB
_CHUNK_BYTES: Final = _MIB


class Downloads(Protocol):
    """Fetches from a release server (``stores/download.py``)."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """Return a small file; DownloadError when that fails."""
        ...

    async def save(
        self, url: str, path: Path, *, max_bytes: int, on_bytes: Callable[[int, int | None], None]
    ) -> None:
        """Write a file; ``on_bytes`` gets the bytes so far and the total. DownloadError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which release, for which machine, from where, and whose signature counts."""

    version: str  # "" for the default, or the newest that ``constraints`` allow
    constraints: Sequence[str]  # required_version of the templates
    system: str  # uname's
    machine: str
    mirror: str
    key: bytes


async def install(
    wanted: Wanted,
    folder: Path,
    downloads: Downloads,
    *,
    on_bytes: Callable[[int, int | None], None],
) -> Path:
    """Return the program of the release, which is now whole in ``folder``/VERSION.

    Raises:
        ReleaseError: it is not what HashiCorp signed, or no release fits.
        DownloadError: the server does not give it.
        UsageError: there is no release for this machine, or the folder cannot be written.
    """
    platform = names.platform_of(wanted.system, wanted.machine)
    version = await _version(wanted, downloads)
    program = folder / version / names.PROGRAM
    if os.access(program, os.X_OK):
        return program
    archive = f"{names.PROGRAM}_{version}_{platform}.zip"
    base = names.folder_url(wanted.mirror, version)
    sums_url = f"{base}/{names.PROGRAM}_{version}_SHA256SUMS"
    sums = await downloads.fetch(sums_url, max_bytes=_SUMS_BYTES)
    signature = await downloads.fetch(f"{sums_url}.sig", max_bytes=_SUMS_BYTES)
    sha256_hex = expected_sha256_hex(sums, signature, archive, wanted.key)
    work = await anyio.to_thread.run_sync(_work_folder, folder)
    try:
        zipped = work / archive
        url = f"{base}/{archive}"
        await downloads.save(url, zipped, max_bytes=_ARCHIVE_BYTES, on_bytes=on_bytes)
        put = partial(_put, zipped, sha256_hex, program)
        await anyio.to_thread.run_sync(put)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(shutil.rmtree, work, ignore_errors=True))
    return program


async def _version(wanted: Wanted, downloads: Downloads) -> str:
    if wanted.version:
        return names.exact_version(wanted.version)
    if _fits(names.DEFAULT_VERSION, wanted.constraints):
        return names.DEFAULT_VERSION
    url = f"{wanted.mirror.rstrip('/')}/{names.PROGRAM}/index.json"
    index = await downloads.fetch(url, max_bytes=_INDEX_BYTES)
    try:
        published = list(json.loads(index)["versions"])
    except (ValueError, TypeError, KeyError):
        raise ReleaseError(f"{url} is not a list of releases.") from None
    fit = [one for one in published if parsed(one) and _fits(one, wanted.constraints)]
    if not fit:
        asked = ", ".join(wanted.constraints)
        raise ReleaseError(f"No release of Packer is {asked}.", hint="Correct required_version.")
    return names.exact_version(max(fit, key=lambda one: parsed(one) or ()))


def _fits(version: str, constraints: Sequence[str]) -> bool:
    return all(satisfies(version, constraint) for constraint in constraints)


def _work_folder(folder: Path) -> Path:
    make_folder(folder)
    return Path(tempfile.mkdtemp(prefix=".new-", dir=folder))


def _put(zipped: Path, sha256_hex: str, program: Path) -> None:
    """Check the archive, unpack the program beside its place, and move it there whole."""
    with zipped.open("rb") as file:
        found_hex = hashlib.file_digest(file, "sha256").hexdigest()
    if found_hex != sha256_hex:
        raise ReleaseError(
            f"{zipped.name} is not what HashiCorp signed (SHA-256 {found_hex}, not {sha256_hex}).",
            hint="Nothing was installed. Try again; if it stays so, the mirror is to blame.",
        )
    unpacked = zipped.parent / "unpacked"
    unpacked.mkdir()
    fresh = unpacked / names.PROGRAM
    try:
        with zipfile.ZipFile(zipped) as archive, archive.open(names.PROGRAM) as source:
            _copy(source.read, fresh)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ReleaseError(f"{zipped.name} holds no program called packer.") from error
    fresh.chmod(0o755)
    sync_path(fresh)
    try:
        unpacked.rename(program.parent)
    except OSError:
        if not os.access(program, os.X_OK):  # another one was quicker: then theirs is as good
            raise
    sync_path(program.parent.parent)


def _copy(read: Callable[[int], bytes], target: Path) -> None:
    copied = 0
    with target.open("wb") as file:
        while piece := read(_CHUNK_BYTES):
            copied += len(piece)
            if copied > _PROGRAM_BYTES:
                raise ReleaseError("The program in the archive is larger than 1 GiB.")
            file.write(piece)
