r"""What a person would read of some bytes, and where each part of it lies in them.

A secret that is printed with colours, as UTF-16 or with characters that draw nothing between its
letters is still a secret: it is looked for in the visible text and masked in the original.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, reduce
from itertools import compress
from typing import Final

from asyncpipe.text.safe import INVISIBLE
from asyncpipe.text.scan import ONCE, Scanner
from asyncpipe.text.sequences import (
    BROKEN_OFF,
    EIGHT_BITS,
    SEVEN_BITS,
    STRING,
    hides_text,
    is_utf8,
    without_broken_off,
    without_eight_bits,
    without_like_ones,
    without_seven_bits,
)

# C0 but tab and newline; DEL.
_CONTROL_BYTES: Final = bytes(set(range(0x20)) - {0x09, 0x0A}) + b"\x7f"
_INVISIBLES: Final = re.compile(INVISIBLE + rb"++")
_INVISIBLE: Final = re.compile(INVISIBLE)
_STRUCK: Final = re.compile(rb"(?:[^\x80-\xff\x08\n]|[\xc2-\xf4][\x80-\xbf]{1,3})\x08")
#: An escape sequence or a character of UTF-8 whose end is still to come.
_SKIPPED: Final = rb"[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|" + INVISIBLE
_UNFINISHED: Final = re.compile(
    rb"(?:\x1b(?:(?:[ -/]|" + _SKIPPED + rb")*+(?:\[(?:[ -?]|" + _SKIPPED + rb")*+)?"
    rb"(?:[\xc2-\xf4][\x80-\xbf]{0,2})?|[\]PX^_]" + STRING + rb")"
    rb"|(?:\x1b(?:\[[0-?]*+[ -/]*+|[ -/]*+))?\xc2(?:\x9b[0-?]*+[ -/]*+|[\x90\x98\x9d-\x9f]"
    + STRING
    + rb")"
    rb"|[\xc2-\xf4][\x80-\xbf]{0,2}|\r)\Z"
)
#: A sequence within which something stands that one terminal skips and that ends it on another.
_HALTING: Final = re.compile(rb"\x1b(?:\[[0-?]*+[ -/]*+|[ -/]*+)(?:" + _SKIPPED + rb"|\r[^\n])")
_LONGEST_UNFINISHED: Final = 4096
_LEAST_BYTES: Final = 8192  # of a text in which characters that are alike are taken out at once
_MOST_STRUCK: Final = 16  # kinds of letters that are
_PLACED_BYTES: Final = (
    16384  # of lines in which places are reported; beyond, lines count as a whole
)

_SIGNS: Final = (
    rb"[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|\r[^\n]|\r\z",
    rb"\x08",
    rb"\x1b",
    rb"\xc2[\x90\x98\x9b\x9d-\x9f]",
    INVISIBLE,
    rb"PRIVATE KEY|PuTTY-User-Key-File",
)
_CONTROL, _BACKSPACE, _ESCAPE, _C1, _DRAWS_NOTHING, KEY_SIGN = range(len(_SIGNS))


class _Stage:
    """Takes out what a pattern matches."""

    def __init__(
        self, pattern: re.Pattern[bytes], quick: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._pattern = pattern
        self._quick = quick

    def read(self, data: bytes) -> bytes:
        """Return what is left, NULs perhaps where something was: the stage of controls follows."""
        return self._quick(data) if self._quick else self._pattern.sub(b"", data)

    def keep(self, data: bytes, places: list[int]) -> tuple[bytes, list[int]]:
        """Return what is left, and the places of its bytes."""
        kept: list[int] = []
        position = 0
        for found in self._pattern.finditer(data):
            kept += places[position : found.start()]
            position = found.end()
        return self._pattern.sub(b"", data), kept + places[position:]


class _Controls(_Stage):
    """Takes out single control bytes, faster than a pattern does."""

    def __init__(self, controls: bytes = _CONTROL_BYTES) -> None:
        self._controls = controls
        self._table = bytes(byte not in controls for byte in range(256))

    def read(self, data: bytes) -> bytes:
        return data.translate(None, self._controls)

    def keep(self, data: bytes, places: list[int]) -> tuple[bytes, list[int]]:
        return self.read(data), list(compress(places, data.translate(self._table)))


class _Struck(_Stage):
    """Takes out what was overstruck, faster than a pattern does where every letter is a byte."""

    def read(self, data: bytes) -> bytes:
        rest = data.lstrip(b"\x08")  # what stands first strikes nothing of it
        if not rest.isascii() or b"\x08\x08" in rest or b"\n\x08" in rest:
            return super().read(data)
        return data[: len(data) - len(rest)] + self._apart(rest)

    @staticmethod
    def _apart(data: bytes) -> bytes:
        """Return ASCII in which each backspace has a letter of its own."""
        for _ in range(_MOST_STRUCK):
            at = data.find(b"\x08")
            if at < 0:
                return data
            data = data.replace(data[at - 1 : at + 1], b"")
        *struck, last = data.split(b"\x08")
        return b"".join([*(part[:-1] for part in struck), last])


class View:
    """How a text reads once the stages took out what they hide."""

    def __init__(
        self, original: bytes, stages: Sequence[_Stage], *, is_spelled: bool = False
    ) -> None:
        self.is_spelled = is_spelled  # sequences are in it, spelled out
        self._original = original
        self._stages = stages
        self.text = self._read(original)

    def shown_bytes(self, size_bytes: int) -> int:
        """Return how much is seen of so many bytes at the beginning."""
        return len(self._read(self._original[:size_bytes]))

    def places(self, parts: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Yield where in the original these parts of the visible text stand; in order, please.

        Lines correspond one to one, so that only those with a part in them are examined again;
        when there are many, the whole line is taken instead of the part.
        """
        shown, start, end = 0, 0, -1
        kept: Sequence[int] = ()
        room = _PLACED_BYTES
        for first, last in parts:
            lines = self.text.count(b"\n", shown, first)
            if lines or end < 0:
                start = _line_after(self._original, start, lines)
                shown = self.text.rfind(b"\n", 0, first) + 1
                end = _end_of_line(self._original, start)
                room -= end - start
                kept = self._kept(self._original[start:end]) if room >= 0 else ()
            if last - shown <= len(kept):
                yield start + kept[first - shown], start + kept[last - 1 - shown] + 1
            else:
                more = self.text.count(b"\n", first, last)
                yield start, _end_of_line(self._original, _line_after(self._original, start, more))

    def place(self, position: int) -> int:
        """Return where a byte of the visible text stands, or where its line begins."""
        return next(self.places([(position, position + 1)]))[0]

    def _read(self, data: bytes) -> bytes:
        return reduce(lambda rest, stage: stage.read(rest), self._stages, data)

    def _kept(self, line: bytes) -> list[int]:
        places = list(range(len(line)))
        for stage in self._stages:
            line, places = stage.keep(line, places)
        return places


def _without_invisibles(data: bytes) -> bytes:
    if data.isascii():
        return data
    if len(data) >= _LEAST_BYTES and is_utf8(data):
        data = without_like_ones(data, _INVISIBLE)
    return _INVISIBLES.sub(b"", data) if _INVISIBLE.search(data) else data


_STAGES: Final = (
    (_C1, _Stage(BROKEN_OFF, without_broken_off)),
    (_C1, _Stage(EIGHT_BITS, without_eight_bits)),  # first: its strings may end in seven bits
    (_ESCAPE, _Stage(SEVEN_BITS, without_seven_bits)),
    (_CONTROL, _Controls()),
    (_DRAWS_NOTHING, _Stage(_INVISIBLES, _without_invisibles)),
)


#: Another reading: a terminal skips what stands within a sequence instead of ending it there.
_SKIPPING: Final = (
    _Stage(EIGHT_BITS, without_eight_bits),
    _Controls(_CONTROL_BYTES.translate(None, b"\x07\x1b")),
    _Stage(_INVISIBLES, _without_invisibles),
    _Stage(SEVEN_BITS, without_seven_bits),
    _Controls(),
)


#: And what a person reads where they are written out, as in build.log.
_SPELLING: Final = (_Controls(), _Stage(_INVISIBLES, _without_invisibles))


def signs(data: bytes) -> set[int]:
    """Return what of ``_SIGNS`` is in ``data``: mostly nothing."""
    return _scanner().which(data)


def views(data: bytes, found: AbstractSet[int]) -> Iterator[View]:
    """Yield how ``data``, with these signs, reads without what is hidden in it."""
    if found <= {KEY_SIGN}:
        return
    # What is left of a sequence, and the backspaces, are controls.
    stages = [stage for sign, stage in _STAGES if sign in found or sign == _CONTROL]
    yield View(data, stages)
    if _ESCAPE in found and len(found - {KEY_SIGN}) > 1 and _HALTING.search(data):
        yield View(data, _SKIPPING)
    if _ESCAPE in found or (_C1 in found and hides_text(data)):
        yield View(data, _SPELLING, is_spelled=True)
    if _BACKSPACE in found:  # bold by overstriking: each letter twice
        yield View(data, [_Struck(_STRUCK)])


def unfinished_from(data: bytes) -> int:
    """Return where a sequence begins that more bytes may make invisible; len(data) = nowhere."""
    begin = max(0, len(data) - _LONGEST_UNFINISHED)
    found = _UNFINISHED.search(data, begin)
    return found.start() if found else len(data)


def _line_after(data: bytes, start: int, lines: int) -> int:
    for _ in range(lines):
        start = data.index(b"\n", start) + 1
    return start


def _end_of_line(data: bytes, start: int) -> int:
    newline = data.find(b"\n", start)
    return newline if newline >= 0 else len(data)


@cache
def _scanner() -> Scanner:
    return Scanner(_SIGNS, [ONCE] * len(_SIGNS), name="signs")
