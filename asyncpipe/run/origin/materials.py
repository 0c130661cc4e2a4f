"""The files that a template names -> their digests, as they are when Packer starts."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from asyncpipe.model.build import BuildPlan, Material
from asyncpipe.model.documents.metadata import MAX_MATERIALS

_MAX_FILE_BYTES: Final = 64 * 1024 * 1024  # scripts and configuration; an ISO has its own digest
_MAX_BYTES: Final = 256 * 1024 * 1024  # of all: a second of one core
_PIECE_BYTES: Final = 1024 * 1024


def read_materials(plan: BuildPlan) -> tuple[tuple[Material, ...], int]:
    """Digest scripts, ``cd_files``, ``http_directory`` and the template's own files.

    Returns them, and how many more there were; blocks.

    A file that is too large, or cannot be read, is named without a digest.
    """
    template, folder = plan.template, plan.working_directory
    # in the order of names, each file once, however it is named
    paths = sorted({folder / path for path in (*template.files, *template.referenced_files)})
    left_bytes = _MAX_BYTES
    found: list[Material] = []
    cut = 0
    for path in paths:
        if path.is_dir():
            continue
        if len(found) == MAX_MATERIALS:
            cut += 1
            continue
        digest_hex, size_bytes = _digest(path, min(left_bytes, _MAX_FILE_BYTES))
        left_bytes -= size_bytes
        found.append(Material(path=_shown(path, folder), sha256_hex=digest_hex))
    return tuple(found), cut


def _digest(path: Path, limit_bytes: int) -> tuple[str | None, int]:
    """The SHA-256 and the size of a regular file; None for one that is larger than the limit."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        # a pipe would hold us until somebody writes to it
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None, 0
            while piece := file.read(_PIECE_BYTES):
                size_bytes += len(piece)
                if size_bytes > limit_bytes:
                    return None, 0
                digest.update(piece)
    except OSError:
        return None, 0
    return digest.hexdigest(), size_bytes


def _shown(path: Path, folder: Path) -> str:
    """Seen from Packer's folder; never a path of this machine."""
    normal = Path(os.path.normpath(path))
    top = Path(os.path.normpath(folder))
    return normal.relative_to(top).as_posix() if normal.is_relative_to(top) else normal.name
