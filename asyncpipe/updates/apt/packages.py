"""A Packages file, read stanza by stanza: 75 MB of it cost no more memory than one line."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Final

from asyncpipe.updates.refused import IndexRefusedError

_MAX_LINE_BYTES: Final = 4 * 1024 * 1024


def read_packages(file: BinaryIO) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and architecture of each package.

    Raises:
        IndexRefusedError: a line has no end.
    """
    name = version = arch = b""
    for line in iter(partial(file.readline, _MAX_LINE_BYTES), b""):
        if line.startswith(b"Package:"):
            name = line[8:]
        elif line.startswith(b"Version:"):
            version = line[8:]
        elif line.startswith(b"Architecture:"):
            arch = line[13:]
        elif not line.strip():
            if name and version:
                yield _text(name), _text(version), _text(arch)
            name = version = arch = b""
        elif len(line) >= _MAX_LINE_BYTES and not line.endswith(b"\n"):
            raise IndexRefusedError("A list of packages has a line without end.")
    if name and version:
        yield _text(name), _text(version), _text(arch)


def _text(value: bytes) -> str:
    return value.strip().decode("utf-8", "replace")
