"""A screen as QEMU dumps it (PPM, which every release writes) -> PNG."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Final

MAX_BYTES: Final = 64 * 1024**2  # a screen of 4096 x 4096 has 48 MiB
_HEADER: Final = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def png_of(ppm: bytes) -> bytes:
    """Convert a binary PPM (netpbm, P6, 8 bits) to PNG (RFC 2083); ``b""`` for anything else."""
    header = _HEADER.match(ppm)
    if header is None:
        return b""
    width, height = int(header[1]), int(header[2])
    pixels, row_bytes = memoryview(ppm)[header.end() :], width * 3
    if not row_bytes or not height or len(pixels) < row_bytes * height:
        return b""
    packer = zlib.compressobj(6)
    packed = b"".join(
        packer.compress(b"\0" + pixels[at : at + row_bytes])  # filter 0: bytes as they are
        for at in range(0, row_bytes * height, row_bytes)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    parts = ((b"IHDR", head), (b"IDAT", packed + packer.flush()), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
