"""Where secrets lie in a text: Hyperscan looks for all forms and kinds, in linear time.

Hyperscan says where a form or the least of a kind ends; how far the secret reaches is one run
from there, and what lies within a run that was found is not examined again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

from asyncpipe.text.scan import FROM_START, Scanner, TooManyHitsError, literal
from asyncpipe.text.secrets.kinds import KINDS

_HEAD_BYTES: Final = 64  # of a form that Hyperscan looks for; the rest is compared
_JUDGED_BYTES: Final = 256  # of a value that decide whether it is a secret
_FREE_HITS: Final = 64  # that are examined one by one in any text
_BYTES_PER_HIT: Final = 96  # and of more text, one more for each so many bytes
_DENSE_HITS: Final = 256  # that may follow one another more closely; of a piece:
_DENSE_HITS_OF_PIECE: Final = 32
_PIECE_BYTES: Final = 1024  # of a text with more hits: judged, or masked, by itself; at least
_URL_STOPS: Final = (b"@", b"'", b'"', b"\r")
_URL: Final = re.compile(rb"://[^/:]*+(?::.*+)?\Z", re.DOTALL)


class Span(NamedTuple):
    """A secret within a text, or lines that are full of them.

    ``run`` leads on when it may go on behind the text's end.
    """

    start: int
    end: int
    run: re.Pattern[bytes] | None = None


class Found(NamedTuple):
    """All secrets of a text; ``open_from``: where something begins that may yet become one."""

    spans: list[Span]
    open_from: int


class Engine:
    """Looks for the forms of the secrets that a run knows, and for the kinds that show."""

    def __init__(self, forms: tuple[bytes, ...]) -> None:
        self._known = _Forms(forms) if forms else None
        self._kinds = _kinds()

    def find(self, text: bytes, *, known_only: bool = False) -> Found:
        """Return the secrets in ``text``, in no order; ``known_only``: none by its kind.

        No output of a build is so full of what might be a secret that one in 96 bytes is; where a
        text is, lines are masked whole instead of being judged: work stays bounded by size.
        """
        try:
            most = _FREE_HITS + len(text) // _BYTES_PER_HIT
            return self._judged(text, most, _DENSE_HITS, known_only=known_only)
        except TooManyHitsError:
            return self._coarse(text, known_only=known_only)

    def _judged(self, text: bytes, most: int, dense: int, *, known_only: bool) -> Found:
        found = Found([], len(text)) if known_only else self._kinds.find(text, most, dense)
        if self._known:
            found.spans.extend(self._known.spans(text, most, dense))
        return found

    def _coarse(self, text: bytes, *, known_only: bool) -> Found:
        spans: list[Span] = []
        open_from = start = 0
        size = _PIECE_BYTES
        while start < len(text):
            end = text.find(b"\n", start + size) + 1 or len(text)
            piece = text[start:end]
            try:
                most = len(piece) // _BYTES_PER_HIT
                found = self._judged(piece, most, _DENSE_HITS_OF_PIECE, known_only=known_only)
                size = _PIECE_BYTES
            except TooManyHitsError:
                found = Found([Span(0, len(piece.rstrip(b"\n")))], len(piece))
                size *= 2  # as much again as was full already, and looked at as often
            spans += [Span(s.start + start, s.end + start, s.run) for s in found.spans]
            open_from = start + found.open_from
            start = end
        return Found(spans, open_from)


class _Forms:
    def __init__(self, forms: tuple[bytes, ...]) -> None:
        heads: dict[bytes, list[bytes]] = {}
        for form in forms:
            heads.setdefault(form[:_HEAD_BYTES], []).append(form)
        self._heads = list(heads.items())
        self._scanner = Scanner([literal(head) for head in heads], [0] * len(heads))

    def spans(self, text: bytes, most: int, dense: int) -> list[Span]:
        """Return where a form stands; those that overlap come apart."""
        spans: list[Span] = []
        for ident, _, end in self._scanner.hits(text, most, free=dense):
            head, forms = self._heads[ident]
            start = end - len(head)
            spans += [Span(start, start + len(f)) for f in forms if text.startswith(f, start)]
        return spans


class _Kinds:
    def __init__(self) -> None:
        starts = [FROM_START if kind.needs_start else 0 for kind in KINDS]
        self._scanner = Scanner([kind.pattern for kind in KINDS], starts, name="kinds")

    def find(self, text: bytes, most: int, dense: int) -> Found:
        spans: list[Span] = []
        reached, open_from = 0, len(text)
        for ident, start, end in self._scanner.hits(text, most, free=dense):
            if end <= reached:
                continue
            kind = KINDS[ident]
            begin = kind.begin(text, start, end)
            last = kind.end(text, begin, end, end + _JUDGED_BYTES)
            if kind.accept is None or kind.accept(text, begin, last):
                reached = max(reached, kind.end(text, begin, end, len(text)))
                run = kind.run(text, begin) if reached == len(text) else None
                spans.append(Span(begin, reached, run))
            elif last == len(text):
                open_from = min(open_from, begin)
        return Found(spans, open_from)


@lru_cache(maxsize=4)
def engine_for(forms: tuple[bytes, ...]) -> Engine:
    """Return the engine for these forms; compiling takes some hundredths of a second."""
    return Engine(forms)


@cache
def _kinds() -> _Kinds:
    """Return what all engines share; compiling takes some tenths of a second, once."""
    return _Kinds()


def merged(spans: Sequence[Span]) -> list[Span]:
    """Return the spans in order, those that overlap or touch as one."""
    done: list[Span] = []
    for span in sorted(spans, key=_bounds):
        if done and span.start < done[-1].end:
            last = done[-1]
            run = span.run if span.end >= last.end else last.run
            done[-1] = Span(last.start, max(last.end, span.end), run or last.run)
        else:
            done.append(span)
    return done


class Openers:
    """Finds the beginning of a token whose rest may still come."""

    def __init__(self) -> None:
        words = sorted({word for kind in KINDS for word in kind.openers} | {b"-----BEGIN "})
        self._lengths = list(map(len, words))
        self._scanner = Scanner(list(map(literal, words)), [0] * len(words))

    def first(self, word: bytes) -> int:
        """Return where in a text without blanks something begins; its length = nowhere."""
        try:
            hits = self._scanner.hits(word, _FREE_HITS)
        except TooManyHitsError:
            return 0
        begins = [end - self._lengths[ident] for ident, _, end in hits]
        return min([*begins, _url_from(word)])


def _url_from(word: bytes) -> int:
    """Return where a URL begins that may yet turn out to hold a password."""
    quiet = max(map(word.rfind, _URL_STOPS)) + 1
    found = _URL.search(word, quiet)
    return found.start() if found else len(word)


@cache
def openers() -> Openers:
    """Return the finder; it is compiled once."""
    return Openers()


def _bounds(span: Span) -> tuple[int, int]:
    return span.start, span.end
