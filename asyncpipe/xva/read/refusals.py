"""Rejections that several states of the archive share."""

from __future__ import annotations

from asyncpipe.text.safe import printable
from asyncpipe.xva.read.tar import TarHeader
from asyncpipe.xva.reject import RejectError


def check_kind(header: TarHeader, at_bytes: int) -> None:
    """Reject anything but a regular file (tar-type)."""
    if header.kind in {b"\0", b"0"}:
        return
    kinds = {b"1": "a hard link", b"2": "a symbolic link", b"5": "a directory", b"S": "sparse"}
    kind = kinds.get(header.kind, f'of type "{printable(header.kind.decode("latin-1"))}"')
    raise RejectError(
        "tar-type",
        at_bytes,
        f'"{printable(header.name, 100)}" is {kind}; an XVA holds plain files only',
        member=header.name,
    )


def no_checksum(chunk: str, instead: str, at_bytes: int) -> RejectError:
    """Return the reject for a chunk without its own checksum behind it."""
    return RejectError(
        "checksum-missing",
        at_bytes,
        f"the chunk {printable(chunk, 100)} must be followed by its own checksum, not by {instead}",
        member=chunk,
    )


def zeroed_header(at_bytes: int) -> RejectError:
    """Return the reject for zeroes where a tar header must be."""
    return RejectError(
        "zeroed-header",
        at_bytes,
        "zeroes stand where a tar header must, and data follows: a part of the file was never "
        "written",
    )


def no_end(at_bytes: int, *, overwritten: bool) -> RejectError:
    """Return the reject for an archive that is whole but for the two zero blocks at its end."""
    return RejectError(
        "no-end-of-archive",
        at_bytes,
        "all data is there, but the two zero blocks that end the archive are not: the "
        "last bytes were lost" + (" or overwritten" if overwritten else ""),
    )


def truncated(at_bytes: int, member: str, missing: str) -> RejectError:
    """Return the reject for a file that ends inside ``member``, or between two when empty."""
    what = f"; {missing.replace('where the archive ends', 'so far')}" if missing else ""
    where = f"inside {printable(member, 100)}" if member else "between two members"
    return RejectError(
        "truncated",
        at_bytes,
        f"the file ends {where}{what}: the export or the copy was cut off",
        member=member,
    )


def unwritten_end(at_bytes: int, lost: str) -> RejectError:
    """Return the reject for zeroes in place of data at the end of the file."""
    return RejectError(
        "trailing-padding",
        at_bytes,
        f"the file ends in zeroes where data must be ({lost}): space was reserved for the "
        "file, but its end was never written",
    )
