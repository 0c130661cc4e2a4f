"""Sets of patterns as Hyperscan compiled them, kept beside what Python compiled.

A few hundred patterns take 0.4 s to compile and nothing to load. ``__pycache__`` is their place:
whoever can write there can change the code that would check them, and nobody else can.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Final

_MOST_BYTES: Final = 16 * 1024 * 1024
_SEAL_BYTES: Final = 32
_MODE: Final = 0o644  # as Python's own files there, less the umask


def database(patterns: Sequence[bytes], flags: Sequence[int], *, name: str = "") -> Any:
    """Return a ``hyperscan.Database`` that is ready to scan.

    ``name``: that of the file, for patterns that are the same in every run; without one nothing is
    kept, since the patterns may be secrets. Where the file is missing, damaged, of other patterns
    or of another version they are compiled again, as they are where it cannot be written.
    """
    import hyperscan  # noqa: PLC0415 - costs time at the start

    path = _path_of(name) if name else None
    source = _digest(patterns, flags)
    if path is not None and (kept := _read(path, source)) is not None:
        with suppress(hyperscan.error):  # of another version, or for other processors
            found = hyperscan.loadb(kept, hyperscan.HS_MODE_BLOCK)
            found.scratch = hyperscan.Scratch(found)
            return found
    made = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    made.compile(expressions=list(patterns), ids=list(range(len(patterns))), flags=list(flags))
    if path is not None and not sys.dont_write_bytecode:
        with suppress(OSError):  # an installation that only root may change
            data = hyperscan.dumpb(made)
            _write(path, _seal(source, data) + data)
    return made


def _path_of(name: str) -> Path | None:
    try:
        compiled = Path(cache_from_source(__file__))
    except NotImplementedError:  # an interpreter that keeps nothing
        return None
    return compiled.with_suffix(f".{name}.hs")


def _digest(patterns: Sequence[bytes], flags: Sequence[int]) -> bytes:
    found = hashlib.sha256()
    for pattern, flag in zip(patterns, flags, strict=True):
        found.update(b"%d:%d:%b" % (flag, len(pattern), pattern))
    return found.digest()


def _seal(source: bytes, data: bytes) -> bytes:
    """What a file begins with; Hyperscan's own checksum leaves out the last bytes."""
    return hashlib.sha256(source + data).digest()


def _read(path: Path, source: bytes) -> bytes | None:
    try:
        with path.open("rb") as file:
            seal, data = file.read(_SEAL_BYTES), file.read(_MOST_BYTES)
    except OSError:
        return None
    return data if seal == _seal(source, data) else None


def _write(path: Path, data: bytes) -> None:
    """Replace the file in one step; `system.files` does so too, on a floor above this one."""
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
