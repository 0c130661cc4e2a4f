r"""What a person would read of some bytes, and where each part of it stands in them.

A secret that is printed with colours, as UTF-16 or with characters that draw nothing between its
letters is still a secret: it is looked for in the visible text and masked in the original.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

# ECMA-48 in 7 bits and, as UTF-8 has them, in 8. A string's content holds no control, so that each
# byte is looked at twice at most, whatever introducers a guest strings together.
_STRING: Final = rb"(?:[^\x00-\x1f\x7f\xc2]|\xc2[\xa0-\xbf])*+"
_ESCAPES: Final = (
    rb"(?:\x1b\[|\xc2\x9b)[0-?]*+[ -/]*+[@-~]"
    rb"|(?:\x1b[\]PX^_]|\xc2[\x90\x98\x9d-\x9f])" + _STRING + rb"(?:\x07|\x1b\\|\xc2\x9c)"
    rb"|\x1b[ -/]*+[0-~]"
)
# C0 but tab, newline and the return before it; DEL; C1; what draws nothing (Unicode's Cf, fillers,
# variation selectors, tags).
_CONTROLS: Final = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)"
_INVISIBLE: Final = (
    rb"\xc2[\x80-\x9f\xad]|\xcd\x8f|\xd8[\x80-\x85\x9c]|\xdb\x9d|\xdc\x8f"
    rb"|\xe1\x85[\x9f\xa0]|\xe1\x9e[\xb4\xb5]|\xe1\xa0[\x8b-\x8f]"
    rb"|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xe3\x85\xa4"
    rb"|\xef\xb8[\x80-\x8f]|\xef\xbb\xbf|\xef\xbe\xa0|\xef\xbf[\xb9-\xbb]"
    rb"|\xf0\x9b\xb2[\xa0-\xa3]|\xf0\x9d\x85[\xb3-\xba]|\xf3\xa0[\x80-\x87][\x80-\xbf]"
)
_HIDDEN: Final = re.compile(rb"(?:%s|%s|%s)++" % (_ESCAPES, _CONTROLS, _INVISIBLE))
_STRUCK: Final = re.compile(rb"(?:[\xc2-\xf4][\x80-\xbf]{1,3}|[^\x80-\xff\x08\n])\x08")
_CONTROL_BYTES: Final = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D}) + b"\x7f"
#: An escape sequence or a character of UTF-8 whose end is still to come.
_UNFINISHED: Final = re.compile(
    rb"(?:\x1b(?:\[[0-?]*+[ -/]*+|[ -/]*+|[\]PX^_]" + _STRING + rb")"
    rb"|\xc2(?:\x9b[0-?]*+[ -/]*+|[\x90\x98\x9d-\x9f]" + _STRING + rb")"
    rb"|[\xc2-\xf4][\x80-\xbf]{0,2}|\r)\Z"
)
_LONGEST_UNFINISHED: Final = 4096


class Visible:
    """A text without what is hidden in it."""

    def __init__(self, original: bytes, hidden: re.Pattern[bytes]) -> None:
        self.text = hidden.sub(b"", original)
        self._original = original
        self._hidden = hidden
        self._places: list[int] | None = None
        self._removed: list[int] = []

    def place(self, position: int) -> int:
        """Return where in the original the byte at ``position`` of the visible text stands."""
        if self._places is None:
            self._map()
        places = self._places or []
        return position + self._removed[bisect_right(places, position)]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original that shows as this span."""
        return self.place(start), self.place(end - 1) + 1

    def _map(self) -> None:
        self._places, self._removed, removed = [], [0], 0
        for found in self._hidden.finditer(self._original):
            self._places.append(found.start() - removed)
            removed += found.end() - found.start()
            self._removed.append(removed)


def views(data: bytes) -> Iterator[Visible]:
    """Yield how ``data`` reads without what is hidden in it; nothing where nothing is."""
    if _may_hide(data):
        view = Visible(data, _HIDDEN)
        if len(view.text) != len(data):
            yield view
        if b"\x08" in data:  # bold by overstriking: each letter twice
            yield Visible(data, _STRUCK)


def unfinished_from(data: bytes) -> int:
    """Return where a sequence begins that more bytes may make invisible; len(data) = nowhere."""
    begin = max(0, len(data) - _LONGEST_UNFINISHED)
    found = _UNFINISHED.search(data, begin)
    return found.start() if found else len(data)


def _may_hide(data: bytes) -> bool:
    return (
        not data.isascii()
        or len(data.translate(None, _CONTROL_BYTES)) != len(data)
        or data.count(b"\r") != data.count(b"\r\n")
    )
