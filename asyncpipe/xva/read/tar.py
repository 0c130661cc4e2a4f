"""Tar headers as import reads them: V7, ustar and GNU; and the V7 header that export writes.

Source of the layout: ocaml-tar 2.x ``tar.ml`` (V7 dialect), POSIX.1-2017 pax for the ustar fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asyncpipe.text.safe import printable
from asyncpipe.xva.reject import RejectError

BLOCK: Final = 512
ZERO_BLOCK: Final = bytes(BLOCK)
_V7_END: Final = 157  # a V7 header has nothing but NUL from here on
_V7_REST: Final = bytes(BLOCK - _V7_END)
_BLANK_CHECKSUM: Final = 8 * 0x20  # the field itself counts as blanks
_NUMBERS: Final = (("mode", 100, 108), ("uid", 108, 116), ("gid", 116, 124), ("mtime", 136, 148))
_BASE_256: Final = 0x80


@dataclass(frozen=True, slots=True)
class TarHeader:
    """What a header says: the member's whole name, its size and its one-byte type."""

    name: str
    size_bytes: int
    kind: bytes


def parse_header(block: bytes, offset_bytes: int) -> TarHeader:
    """Read one 512-byte header.

    Raises:
        RejectError: tar-header, tar-checksum.
    """
    checksum = _octal(block, 148, 156, "checksum", offset_bytes)
    size_bytes = _octal(block, 124, 136, "size", offset_bytes)
    if checksum != _sum(block):
        raise RejectError(
            "tar-checksum",
            offset_bytes,
            "the tar header here is damaged: its checksum does not match its bytes",
        )
    for label, start, end in _NUMBERS:
        if block[start:end].strip(b"\0 "):
            _octal(block, start, end, label, offset_bytes)
    return TarHeader(_name(block), size_bytes, block[156:157])


def _sum(block: bytes) -> int:
    used = block[:_V7_END] if block[_V7_END:] == _V7_REST else block
    return sum(used) - sum(block[148:156]) + _BLANK_CHECKSUM


def _octal(block: bytes, start: int, end: int, label: str, offset_bytes: int) -> int:
    digits = block[start:end].strip(b"\0 ")
    # isdigit() keeps out the signs, blanks and underscores that int() would take
    if digits.isdigit():
        try:
            return int(digits, 8)
        except ValueError:
            pass
    big = block[start] & _BASE_256
    why = "is stored in base 256, which import cannot read" if big else "is not an octal number"
    raise RejectError(
        "tar-header",
        offset_bytes,
        f"a tar header must stand here, but its {label} field {why}: the bytes are something else",
    )


def _name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    if block[257:262] == b"ustar" and block[262] == 0:  # GNU ("ustar ") keeps other things there
        prefix = block[345:500].split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
    return name.decode("utf-8", "backslashreplace")


def pack_header(name: str, size_bytes: int, mtime_s: int = 0) -> bytes:
    """Return a V7 header byte for byte as xapi writes it."""
    block = bytearray(BLOCK)
    encoded = name.encode()
    if len(encoded) > 100 or size_bytes >= 8**11:
        raise ValueError(f"no V7 header can hold {printable(name)!r} of {size_bytes} bytes")
    block[0 : len(encoded)] = encoded
    block[100:124] = b"0000400\x000000000\x000000000\x00"
    block[124:148] = b"%011o\x00%011o\x00" % (size_bytes, mtime_s)
    block[148:156] = b"%07o\x00" % (sum(block) + _BLANK_CHECKSUM)
    return bytes(block)


def padding_of(size_bytes: int) -> int:
    """Return how many NULs follow a member of ``size_bytes`` up to the next block."""
    return -size_bytes % BLOCK
