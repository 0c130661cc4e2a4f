"""The recorded outputs, by name."""

from __future__ import annotations

import gzip
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "packer"


def recorded(name: str) -> bytes:
    """Return the bytes of one recording."""
    plain = FOLDER / f"{name}.bin"
    return plain.read_bytes() if plain.exists() else gzip.decompress(packed(name).read_bytes())


def packed(name: str) -> Path:
    """Return the path of a recording that is kept compressed."""
    return FOLDER / f"{name}.bin.gz"


def lines_of(name: str) -> list[str]:
    """Return a recording line by line, split at newlines only."""
    return recorded(name).decode("utf-8", "replace").split("\n")


def names() -> list[str]:
    """Return the names of all recordings of Packer's stdout."""
    files = [*FOLDER.glob("*.bin"), *FOLDER.glob("*.bin.gz")]
    return sorted({file.name.split(".")[0] for file in files} - {"file-log"})
