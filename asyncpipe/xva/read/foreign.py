"""Recognise other formats by their first bytes."""

from __future__ import annotations

from typing import Final

from asyncpipe.xva.read.tar import ZERO_BLOCK
from asyncpipe.xva.reject import RejectError, quoted_line

_FORMATS: Final = (
    (b"conectix", "a VHD disk image"),
    (b"vhdxfile", "a VHDX disk image"),
    (b"QFI\xfb", "a qcow2 disk image"),
    (b"KDMV", "a VMDK disk image"),
    (b"# Disk DescriptorFile", "a VMDK descriptor"),
    (b"<<< ", "a VirtualBox disk image"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
)
_WRAPPED: Final = (
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\x1f\x8b", "compressed twice"),
    (b"\x28\xb5\x2f\xfd", "compressed twice"),
)


def refuse_known(block: bytes, offset_bytes: int) -> None:
    """Reject a first block that clearly belongs to another format (not-xva, tar-header)."""
    if block == ZERO_BLOCK:
        raise RejectError(
            "not-xva",
            offset_bytes,
            "the file begins with zeroes: it was reserved but never written",
        )
    for magic, what in _FORMATS:
        if block.startswith(magic):
            raise RejectError("not-xva", offset_bytes, f"this is {what}, not an XVA")
    for magic, what in _WRAPPED:
        if block.startswith(magic):
            raise RejectError(
                "tar-header",
                offset_bytes,
                f"the archive is {what}; import reads plain, gzip and zstd XVAs, wrapped once",
            )
    if block.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise RejectError(
            "tar-header",
            offset_bytes,
            f"this is a web or XML page, not an XVA: it begins with {quoted_line(block.lstrip())}",
        )


def refuse_short(start: bytes) -> None:
    """Reject a file that is too short for a single header (empty, not-xva)."""
    if not start:
        raise RejectError("empty", 0, "the file is empty: nothing was exported or downloaded")
    if start.strip(b"\0"):
        what = f"it begins with {quoted_line(start.lstrip())}"
    else:
        what = "all of them zero"
    raise RejectError(
        "not-xva", 0, f"{len(start)} bytes are too short for an XVA ({what}): an error page?"
    )
