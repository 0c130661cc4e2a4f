"""The redactor: bytes in, bytes out, whatever the chunks.

A line that is complete leaves at once: no secret contains a newline (those that do are known line
by line). Of an unfinished line only what may be the beginning of a secret is held back. What has
left of it stays in mind as context, so that a secret is known by a name that was shown before.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from asyncpipe.text.mask.engine import Span, engine_for, merged, openers
from asyncpipe.text.mask.pem import PemBlock
from asyncpipe.text.mask.visible import KEY_SIGN, View, signs, unfinished_from, views
from asyncpipe.text.secrets import NO_SECRETS, Secrets

MASK: Final = b"****"
_WINDOW_BYTES: Final = 65536  # an unfinished line longer than this leaves in pieces
_CONTEXT_BYTES: Final = 8192  # of an unfinished line that has left
_WORD_BYTES: Final = 8192  # the longest token that is waited for
_FILLED: Final = re.compile(rb"[^\n]+")
_FEW_BYTES: Final = 512  # of lines that are masked whole
_ALIKE: Final = b"x" * 10 + b"\n" + b"x" * 245  # all bytes but the newline
_LEAST_PREFIX_BYTES: Final = 4  # of a secret cut off by the end of the stream


class Redactor:
    """Takes known secrets, and what looks like one, out of a stream of bytes."""

    def __init__(self, secrets: Secrets = NO_SECRETS) -> None:
        self._forms = tuple(sorted(secrets.forms))
        self._longest = max(map(len, self._forms), default=1)
        self._engine = engine_for(secrets.forms)
        self._secrets = secrets
        self._context = b""
        self._tail = bytearray()
        self._pem = PemBlock()
        self._run: re.Pattern[bytes] | None = None  # what has left ended within a secret
        self._count = 0
        #: Of what left last: True = nothing acts in its ASCII, but for returns; False = something
        #: may; None = not known.
        self.is_plain: bool | None = None

    @property
    def count(self) -> int:
        """How many places were masked."""
        return self._count

    @property
    def pending(self) -> bool:
        """Whether a part of an unfinished line is held back."""
        return bool(self._tail)

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return what may leave: every complete line."""
        end = data.rfind(b"\n") + 1
        out = b""
        self.is_plain = None
        if end:
            block = bytes(self._tail) + data[:end]
            self._tail = bytearray(data[end:])
            seen = self._seen(block)
            out = self._leave(block, self._spans(seen))
            self.is_plain = not seen.views
        else:
            self._tail += data
        return out + self.settle() if len(self._tail) > _WINDOW_BYTES else out

    def settle(self, *, overdue: bool = False) -> bytes:
        """Return the unfinished line, less a tail that may be the beginning of a secret.

        When that is ``overdue`` it leaves as well: masked where it is a secret or four bytes of
        one that is known, else as it is.
        """
        self.is_plain = None
        tail = bytes(self._tail)
        if overdue or (self._pem.is_open and len(tail) > _WINDOW_BYTES):
            return self._all()
        if not tail or self._pem.is_open:
            return b""
        end = unfinished_from(tail)
        seen = self._seen(tail[:end])
        self.is_plain = False if seen.views else None
        spans, open_from = self._found(seen)
        hold = min(end, open_from, self._hold_from(seen))
        for span in reversed(spans):
            if span.start < hold < span.end:
                hold = max(0, span.start)
        if not hold and len(tail) > _WINDOW_BYTES:
            hold = end
        self._tail = bytearray(tail[hold:])
        return self._leave(tail[:hold], [span for span in spans if span.end <= hold])

    def flush(self) -> bytes:
        """Return all that is left: the stream ended, or the line is broken off here."""
        return self._all()

    def whole(self, value: str) -> tuple[str, int]:
        """Redact a text that is whole, beside the stream; return it and how much was masked."""
        other = Redactor(self._secrets)
        clean = other.feed(value.encode("utf-8", "backslashreplace") + b"\n")
        return clean[:-1].decode("utf-8", "replace"), other.count

    def _all(self) -> bytes:
        tail, self._tail = bytes(self._tail), bytearray()
        self.is_plain = None
        if not tail:
            return b""
        spans = self._spans(self._seen(tail))
        cut = self._prefix_from(tail)
        if len(tail) - cut >= _LEAST_PREFIX_BYTES:
            spans = merged([*spans, Span(cut, len(tail))])
        return self._leave(tail, spans)

    def _spans(self, seen: _Seen) -> list[Span]:
        """Return the secrets of lines that are over, those of a key's lines among them."""
        block = seen.text[seen.floor :]
        spans, _ = self._found(seen)
        alone = seen.alone
        if self._pem.is_open or KEY_SIGN in alone.signs or alone.views:
            view = next(iter(alone.views), None)
            parts: Iterable[tuple[int, int]] = self._pem.spans(view.text if view else block)
            parts = view.places(parts) if view else parts
            spans = merged([*spans, *(Span(*part) for part in parts)])
        return spans

    def _seen(self, block: bytes) -> _Seen:
        floor = len(self._context)
        return _Seen(self._context + block if floor else block, floor)

    def _found(self, seen: _Seen) -> tuple[list[Span], int]:
        """Return the secrets behind what is in mind of the line, and what is open."""
        floor, block = seen.floor, seen.text[seen.floor :]
        spans, open_from = self._engine.find(seen.text)
        for view in seen.views:
            hidden, hidden_from = self._engine.find(view.text, known_only=view.is_spelled)
            hidden.sort(key=_bounds)
            parts = zip(hidden, view.places((s.start, s.end) for s in hidden), strict=True)
            spans += [Span(*part, span.run) for span, part in parts]
            if hidden_from < len(view.text):
                open_from = min(open_from, view.place(hidden_from))
        if self._run is not None:
            going_on = self._run.match(block)
            end = going_on.end() if going_on else 0
            spans = [*spans, Span(floor, floor + end, self._run if end == len(block) else None)]
            self._run = self._run if end else None
        if not spans:
            return spans, open_from - floor
        inside = [Span(s.start - floor, s.end - floor, s.run) for s in spans if s.end > floor]
        return merged(inside), open_from - floor

    def _leave(self, block: bytes, spans: list[Span]) -> bytes:
        """Return ``block`` masked, and keep in mind what a later part of its line needs."""
        out = self._masked(block, spans)
        last = spans[-1] if spans else None
        newline = block.rfind(b"\n") + 1
        if newline == len(block):
            self._context, self._run = b"", None
        else:
            self._context = (self._context + block[newline:])[-_CONTEXT_BYTES:]
            self._run = last.run if last and last.end == len(block) else None
        return out

    def _masked(self, block: bytes, spans: list[Span]) -> bytes:
        if not spans:
            return block
        pieces, position = [], 0
        for start, end, _ in spans:
            if start >= 0 and not (start == 0 and self._run is not None):
                masked, count = _lines_masked(block[start:end])
                pieces += [block[position:start], masked]
                self._count += count
            elif start < 0 and self._run is None:
                pieces.append(MASK)
                self._count += 1
            position = end
        return b"".join([*pieces, block[position:]])

    def _hold_from(self, seen: _Seen) -> int:
        """Return where the part begins that more bytes may turn into a secret."""
        views: list[View | None] = [*seen.views] or [None]
        return min(self._hold_in(seen, view) for view in views)

    def _hold_in(self, seen: _Seen, view: View | None) -> int:
        text, floor = (view.text, view.shown_bytes(seen.floor)) if view else (seen.text, seen.floor)
        blank = max(map(text.rfind, (b" ", b"\t", b"\n")))
        word = max(blank + 1, len(text) - _WORD_BYTES, floor)
        least = min(word + openers().first(text[word:]), self._prefix_from(text, floor))
        if least == len(text):
            return len(seen.text) - seen.floor
        return max(0, (view.place(least) if view else least) - seen.floor)

    def _prefix_from(self, tail: bytes, floor: int = 0) -> int:
        """Return where the longest suffix of ``tail`` begins that is a prefix of a known form."""
        for start in range(max(floor, len(tail) - self._longest + 1), len(tail)):
            suffix = tail[start:]
            at = bisect_left(self._forms, suffix)
            if at < len(self._forms) and self._forms[at].startswith(suffix):
                return start
        return len(tail)


def _lines_masked(part: bytes) -> tuple[bytes, int]:
    """Return the mask in the place of each line that is not empty, and how many they are."""
    if len(part) <= _FEW_BYTES:
        return _FILLED.subn(MASK, part)
    # Two marks, since the other bytes go: where a line begins, and all that follows in it.
    marked = (b"\n" + part.translate(_ALIKE)).replace(b"\nx", b"\nb").translate(None, b"x")
    return marked[1:].replace(b"b", MASK), marked.count(b"b")


class _Seen:
    """A part of the stream after ``floor`` bytes of its line that have left, and how it reads."""

    def __init__(self, text: bytes, floor: int) -> None:
        self.text = text
        self.floor = floor
        self.signs = signs(text)
        self.views = list(views(text, self.signs))

    @property
    def alone(self) -> _Seen:
        """The part without what has left of its line."""
        return _Seen(self.text[self.floor :], 0) if self.floor else self


def text(value: str, secrets: Secrets = NO_SECRETS) -> str:
    """Redact a text that is whole: an exception's message, a line of a report."""
    return Redactor(secrets).whole(value)[0]


def _bounds(span: Span) -> tuple[int, int]:
    return span.start, span.end
