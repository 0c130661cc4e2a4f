r"""Escape sequences of terminals in bytes, and how many of them are taken out in little time.

ECMA-48 in 7 bits and, as UTF-8 has them, in 8. A string's content holds no control, so that each
byte is read twice at most, whatever introducers a guest strings together; without its end only the
introducer is hidden.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

#: The content of a string.
STRING: Final = rb"[^\x00-\x1f\x7f\xc2]*+(?:\xc2[\xa0-\xbf][^\x00-\x1f\x7f\xc2]*+)*+"
_REST: Final = rb"(?:" + STRING + rb"(?:\x07|\x1b\\|\xc2\x9c))?+"
#: Each begins with one byte that a search leaps to.
SEVEN_BITS: Final = re.compile(
    rb"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|[\]PX^_]" + _REST + rb"|[ -/]*+[0-~])"
)
_CSI: Final = rb"\x9b(?:[0-?]*+[ -/]*+[@-~])?+"
_INTRODUCERS: Final = rb"[\x90\x98\x9d-\x9f](?:\xc2[\x90\x98\x9d-\x9f])*+"
EIGHT_BITS: Final = re.compile(rb"\xc2(?:" + _CSI + rb"|" + _INTRODUCERS + _REST + rb")")
_EIGHT_WITHOUT_ENDS: Final = re.compile(rb"\xc2(?:" + _CSI + rb"|" + _INTRODUCERS + rb")")

_CONTINUING: Final = bytes(range(0x80, 0xC0))
_ENDS: Final = (b"\x07", b"\x1b\\", b"\xc2\x9c")
#: Seven bits that a character of C1 breaks off: it acts wherever it stands, they do not any more.
BROKEN_OFF: Final = re.compile(rb"(?:\x1b(?:\[[0-?]*+[ -/]*+|[ -/]*+))++(?=\xc2[\x80-\x9f])")
_INTRODUCER: Final = re.compile(rb"\xc2[\x90\x98\x9d-\x9f]")  # of a string
_INTRODUCER_CODES: Final = b"\x90\x98\x9d\x9e\x9f"
_DENSE_BYTES: Final = 32  # where there is one in so many, those that are alike go at once
_LEAST: Final = 256
_MOST_KINDS: Final = 12  # of those; what is left is taken out one by one


def without_seven_bits(data: bytes) -> bytes:
    """Take out sequences; NULs may stand where some were, and join nothing that they did not."""
    if is_dense(data, data.count(b"\x1b")):
        data = _thinned(data)
    return SEVEN_BITS.sub(b"", data)


def without_broken_off(data: bytes) -> bytes:
    """Take out beginnings of sequences that a character of C1 follows."""
    if b"\x1b" not in data or b"\xc2" not in data:
        return data
    return BROKEN_OFF.sub(b"", data.replace(b"\x1b\xc2", b"\xc2"))


def without_eight_bits(data: bytes) -> bytes:
    """Take out sequences."""
    if _has_ends(data):
        return EIGHT_BITS.sub(b"", data)
    if is_dense(data, data.count(b"\xc2")) and b"\xc2\x9b" not in data:
        if (narrow := _latin(data)) is not None:
            return _from_latin(narrow.translate(None, _INTRODUCER_CODES))
        if is_utf8(data):
            data = without_like_ones(data, _INTRODUCER)
    if data.isascii():
        return data
    return _EIGHT_WITHOUT_ENDS.sub(b"", data)


def _latin(data: bytes) -> bytes | None:
    """Return UTF-8 with a byte for each character, if all are below U+0100; else None."""
    try:
        return data.decode().encode("latin-1")
    except UnicodeError:
        return None


def _from_latin(data: bytes) -> bytes:
    return data if data.isascii() else data.decode("latin-1").encode()


def hides_text(data: bytes) -> bool:
    """Whether a sequence in eight bits may hide more than the character that introduces it."""
    return b"\xc2\x9b" in data or _has_ends(data)


def is_dense(data: bytes, count: int) -> bool:
    """Whether so many in ``data`` are too many to be looked at one by one."""
    return count >= _LEAST and count * _DENSE_BYTES > len(data)


def is_utf8(data: bytes) -> bool:
    """Whether taking a character out cannot make another one of its neighbours.

    The first and the last character may be cut off.
    """
    begin = len(data[:3]) - len(data[:3].lstrip(_CONTINUING))
    try:
        codecs.utf_8_decode(memoryview(data)[begin:], "strict", False)  # noqa: FBT003
    except UnicodeDecodeError:
        return False
    return True


def without_like_ones(data: bytes, one: re.Pattern[bytes]) -> bytes:
    """Take out what ``one`` matches, beyond ASCII, if of few kinds; else most kinds of it."""
    for _ in range(_MOST_KINDS):
        found = None if data.isascii() else one.search(data)
        if not found:
            break
        data = data.replace(found[0], b"")
    return data


def _thinned(data: bytes) -> bytes:
    """Put NULs in the place of sequences that are the same wherever they stand."""
    has_ends = _has_ends(data)
    for _ in range(_MOST_KINDS):
        found = SEVEN_BITS.search(data)
        if not found or _may_go_on(found[0], has_ends=has_ends):
            break
        data = data.replace(found[0], b"\x00")
    return data


def _may_go_on(sequence: bytes, *, has_ends: bool) -> bool:
    """Whether a longer sequence may begin like this one, or another one end with it."""
    is_introducer = len(sequence) == 2 and sequence[1:] in b"]PX^_"
    return sequence in {b"\x1b[", b"\x1b\\"} or (has_ends and is_introducer)


def _has_ends(data: bytes) -> bool:
    """Whether a string may end; a byte alone is searched much faster than two of them."""
    return any(end[-1:] in data and end in data for end in _ENDS)
