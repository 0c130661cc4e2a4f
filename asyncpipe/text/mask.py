"""The redactor: bytes in, bytes out, whatever the chunks.

A line that is complete leaves at once: no secret contains a newline (those that do are known line
by line). Of an unfinished line only the tail that may be the beginning of a secret is held back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from asyncpipe.text import patterns
from asyncpipe.text.secrets import NO_SECRETS, Secrets

MASK: Final = b"****"
_WINDOW_BYTES: Final = 65536  # an unfinished line longer than this leaves in pieces
_PEM_LINES: Final = 256  # a block that never ends must not swallow the log
_LEAST_PREFIX_BYTES: Final = 4  # of a secret cut off by the end of the stream


class Redactor:
    """Takes known secrets, and what looks like one, out of a stream of bytes."""

    def __init__(self, secrets: Secrets = NO_SECRETS) -> None:
        self._secrets = secrets
        self._forms = secrets.forms
        self._openers = (*secrets.forms, *patterns.OPENERS)
        self._longest = max(map(len, self._openers))
        self._tail = b""
        self._pem_lines_left = 0
        self._count = 0

    @property
    def count(self) -> int:
        """How many places were masked."""
        return self._count

    @property
    def pending(self) -> bool:
        """Whether an unfinished line is held back."""
        return bool(self._tail)

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return what may leave: every complete line."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._tail += data
            return self.settle() if len(self._tail) > _WINDOW_BYTES else b""
        block, self._tail = self._tail + data[:end], data[end:]
        clean = self._mask_block(block)
        return clean + self.settle() if len(self._tail) > _WINDOW_BYTES else clean

    def settle(self) -> bytes:
        """Return the unfinished line, less a tail that may be the beginning of a secret."""
        tail = self._tail
        if not tail or self._pem_lines_left:
            return self.flush() if len(tail) > _WINDOW_BYTES else b""
        found = _merged(self._spans(tail))
        hold = self._hold_from(tail)
        for start, end in reversed(found):
            if start < hold < end:
                hold = start
        if not hold and len(tail) > _WINDOW_BYTES:
            hold = len(tail)
        self._tail = tail[hold:]
        return self._masked(tail[:hold], [span for span in found if span[1] <= hold])

    def flush(self) -> bytes:
        """Return all that is left: the stream ended, or the line is broken off here."""
        tail, self._tail = self._tail, b""
        cut = _prefix_from(tail, self._forms, self._longest)
        if self._pem_lines_left or len(tail) - cut < _LEAST_PREFIX_BYTES:
            return self._mask_block(tail)
        return self._masked(tail, _merged([*self._spans(tail), (cut, len(tail))]))

    def whole(self, value: str) -> tuple[str, int]:
        """Redact a text that is whole, beside the stream; return it and how much was masked."""
        other = Redactor(self._secrets)
        clean = other.feed(value.encode("utf-8", "backslashreplace") + b"\n")
        return clean[:-1].decode("utf-8", "replace"), other.count

    def _mask_block(self, block: bytes) -> bytes:
        if self._pem_lines_left or patterns.PEM_BEGIN in block:
            return b"\n".join(map(self._mask_pem_line, block.split(b"\n")))
        return self._masked(block, _merged(self._spans(block)))

    def _mask_pem_line(self, line: bytes) -> bytes:
        begin = line.rfind(patterns.PEM_BEGIN)
        if begin >= 0:
            self._pem_lines_left = 0 if patterns.PEM_END in line[begin:] else _PEM_LINES
        elif self._pem_lines_left:
            body = patterns.PEM_BODY.search(line)
            if body:
                self._pem_lines_left -= 1
                return self._masked(line, _merged([body.span(1), *self._spans(line)]))
            if patterns.PEM_END in line:
                self._pem_lines_left = 0
        return self._masked(line, _merged(self._spans(line)))

    def _spans(self, block: bytes) -> Iterator[patterns.Span]:
        for form in self._forms:
            start = block.find(form)
            while start >= 0:
                yield start, start + len(form)
                start = block.find(form, start + 1)
        yield from patterns.spans(block)

    def _masked(self, block: bytes, found: list[patterns.Span]) -> bytes:
        if not found:
            return block
        self._count += len(found)
        pieces, position = [], 0
        for start, end in found:
            pieces += [block[position:start], MASK]
            position = end
        return b"".join([*pieces, block[position:]])

    def _hold_from(self, tail: bytes) -> int:
        """Return where the part begins that more bytes may turn into a secret."""
        opened = patterns.OPEN.search(tail)
        return min(
            opened.start() if opened else len(tail),
            _prefix_from(tail, self._openers, self._longest),
        )


def text(value: str, secrets: Secrets = NO_SECRETS) -> str:
    """Redact a text that is whole: an exception's message, a line of a report."""
    return Redactor(secrets).whole(value)[0]


def _prefix_from(tail: bytes, words: tuple[bytes, ...], longest: int) -> int:
    """Return where the longest suffix of ``tail`` begins that is a proper prefix of a word."""
    least = len(tail)
    for word in words:
        start = tail.find(word[:1], max(0, len(tail) - len(word) + 1, len(tail) - longest), least)
        while start >= 0:
            if word.startswith(tail[start:]):
                least = start
                break
            start = tail.find(word[:1], start + 1, least)
    return least


def _merged(found: Iterator[patterns.Span] | list[patterns.Span]) -> list[patterns.Span]:
    merged: list[patterns.Span] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
