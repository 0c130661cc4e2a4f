"""Files to upload: a valid XVA of any size with bytes that do not compress."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from asyncpipe.xva.read.chunks import digest
from asyncpipe.xva.read.tar import ZERO_BLOCK, pack_header, padding_of
from asyncpipe.xva.write.description import DiskSpec, ova_xml
from asyncpipe.xva.write.records import VmSpec
from asyncpipe.xva.write.writer import RawSource, write_xva

MIB = 1024 * 1024
DATE_UTC = "20261123T17:00:00Z"
UNITS = {"": 1, "K": 1024, "M": MIB, "G": 1024 * MIB, "T": 1024 * 1024 * MIB}


def parsed_size(text: str) -> int:
    """Read ``2GiB``, ``512M``, ``100`` as bytes; raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size: write 2GiB or 512MiB")
    return int(float(found[1]) * UNITS[found[2]])


def make_disk(path: Path, size_bytes: int) -> Path:
    """Write random bytes, one MiB of them repeated with its offset, so that no chunk is zero."""
    block = bytearray(random.Random(7).randbytes(MIB))
    with path.open("wb") as file:
        for number in range(size_bytes // MIB):
            block[:8] = number.to_bytes(8, "big")
            file.write(block)
    return path


def make_xva(path: Path, size_bytes: int) -> Path:
    """Write an XVA of about ``size_bytes`` with one disk."""
    disk = make_disk(path.with_suffix(".raw"), size_bytes)
    with path.open("wb") as out:
        write_xva(
            out,
            VmSpec(name="benchmark"),
            [RawSource(path=disk, name="disk")],
            date_utc=DATE_UTC,
        )
    disk.unlink()
    return path


def export_of(disk_bytes: int, chunk: bytes = bytes(MIB), kind: str = ".xxhash") -> Iterator[bytes]:
    """Yield the members of an XVA with a disk of whole MiB, ``chunk`` again and again.

    ``kind`` is that of the chunks' digests: ``.xxhash``, or ``.checksum`` for SHA-1.
    """
    disk = DiskSpec(name="long", virtual_size_bytes=disk_bytes)
    ova = ova_xml(VmSpec(name="long"), [disk], date_utc=DATE_UTC)
    yield pack_header("ova.xml", len(ova)) + ova + bytes(padding_of(len(ova)))
    checksum = digest(kind, chunk)
    padding = bytes(padding_of(len(checksum)))
    for counter in range(disk_bytes // MIB):
        name = f"Ref:100/{counter:08d}"
        yield pack_header(name, MIB)
        yield chunk
        yield pack_header(f"{name}{kind}", len(checksum)) + checksum + padding
    yield ZERO_BLOCK * 2


def make_sparse(path: Path, size_bytes: int) -> Path:
    """Make a file of zeroes that takes no room."""
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return path
