"""The lines of a private key, whatever stands around them: a prefix, quotes, numbers, a trace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_BEGIN: Final = re.compile(
    rb"-----?BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----?|PuTTY-User-Key-File-\d"
)
_END: Final = re.compile(rb"-----?END [A-Z0-9 ]{0,30}PRIVATE KEY|Private-MAC:")
_BODY: Final = re.compile(rb"[A-Za-z0-9+/]{16,}+={0,2}")
_LAST: Final = re.compile(rb"(?:^|[\s\"'|:>;+])([A-Za-z0-9+/]{1,63}={0,2})(?:\\n)?[\s\"',;\\]*$")
_LABEL: Final = re.compile(
    rb"(?:Proc-Type|DEK-Info|Comment|Encryption|Key-Derivation|Argon2-\w+): [^\r\n]{1,200}"
)
_MOST_LINES: Final = 256
_MOST_OTHERS: Final = 8  # lines without any of the key, one after another: the block was cut off

_HINTS: Final = (b"PRIVATE KEY", b"PuTTY-User-Key-File")
_FREE_LINES: Final = 128  # that are examined in any text
_BYTES_PER_LINE: Final = 512  # and of more text, one more for each so many bytes
_MANY_HINTS: Final = 64  # the same of what may begin or end a key: of more, nothing is examined
_BYTES_PER_HINT: Final = 2048


class PemBlock:
    """Follows blocks from line to line."""

    def __init__(self) -> None:
        self.is_open = False
        self._lines_left = self._others = 0

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield what of some visible lines belongs to a key; of very many, all."""
        room = _FREE_LINES + len(text) // _BYTES_PER_LINE
        start = 0
        if sum(map(text.count, _HINTS)) > _MANY_HINTS + len(text) // _BYTES_PER_HINT:
            room, start = 0, 0 if self.is_open else _hint_line(text, 0)
            self.is_open, self._lines_left, self._others = True, _MOST_LINES, 0
        while start < len(text) and (self.is_open or (start := _hint_line(text, start)) >= 0):
            if room == 0:
                yield start, len(text)
                return
            end = text.find(b"\n", start) + 1 or len(text)
            line = text[start:end].rstrip(b"\r\n")
            yield from ((start + first, start + last) for first, last in self._line(line))
            start, room = end, room - 1

    def _line(self, line: bytes) -> Iterator[tuple[int, int]]:
        begins = _BEGIN.search(line)
        if begins:
            self.is_open, self._lines_left, self._others = True, _MOST_LINES, 0
        if not self.is_open:
            return
        start = begins.end() if begins else 0
        ends = _END.search(line, start)
        stop = ends.start() if ends else len(line)
        yield from self._body(line, start, stop)
        self._lines_left -= 1
        if ends or self._lines_left <= 0 or self._others > _MOST_OTHERS:
            self.is_open = False

    def _body(self, line: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
        if start == stop:
            self._others += 1
            return
        found = [match.span() for match in _BODY.finditer(line, start, stop)]
        found += [match.span() for match in _LABEL.finditer(line, start, stop)]
        if not found and self._others == 0 and start == 0 and stop == len(line):
            last = _LAST.search(line, start, stop)
            found = [last.span(1)] if last else []
            self._others = 1
        elif found:
            self._others = 0
        else:
            self._others += 1
        yield from found


def _hint_line(text: bytes, start: int) -> int:
    """Return where the next line begins that may begin a key, from ``start`` on; -1 = nowhere."""
    found = [at for hint in _HINTS if (at := text.find(hint, start)) >= 0]
    return text.rfind(b"\n", start, min(found)) + 1 or start if found else -1
