"""What kills and full disks leave in a directory store beside the open uploads; blocking."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from asyncpipe.errors import AccessDeniedError, UsageError
from asyncpipe.stores.directory.files import DirectoryFiles
from asyncpipe.stores.directory.lock import locked_to_read
from asyncpipe.stores.directory.records import Sidecar, read_json


def found(files: DirectoryFiles, before_s: float) -> list[Path]:
    """What no upload and no object needs, untouched since ``before_s`` (Unix time).

    Folders whose upload was being begun, dropped or put in one call, half-written small files,
    and the metadata of files that are gone.
    """
    if not files.work.is_dir() or files.work.is_symlink():
        return []
    with locked_to_read(files.work):  # a publication writes its metadata before it takes its name
        found = [folder for folder, record in files.folders() if not record or record.small]
        objects = files.work / "objects"
        entries = [] if objects.is_symlink() else sorted(objects.glob("*"))
        found += [entry for entry in entries if not _is_in_use(files, entry)]
    return [path for path in found if _touched_s(path) < before_s]


def remove(path: Path) -> None:
    """Remove what `remains` named."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_in_use(files: DirectoryFiles, sidecar: Path) -> bool:
    known = read_json(sidecar, Sidecar)
    try:
        return known is not None and files.sidecar_of(files.path_of(known.key)) == sidecar
    except (UsageError, AccessDeniedError):
        return False


def _touched_s(path: Path) -> float:
    """When a file, or anything in a folder, was last written to; never, when it is just going."""
    try:
        return max(each.lstat().st_mtime for each in (path, *path.glob("*")))
    except FileNotFoundError:
        return math.inf
