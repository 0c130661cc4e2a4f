"""Where secrets stand in a text: Hyperscan looks for all forms and kinds, in linear time.

Hyperscan says where a form or the least of a kind ends; how far the secret reaches is one run
from there, and what lies within a run that was found is not looked at again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

import hyperscan

from asyncpipe.text.secrets.kinds import KINDS

_HEAD_BYTES: Final = 64  # of a form that Hyperscan looks for; the rest is compared
_JUDGED_BYTES: Final = 256  # of a value that decide whether it is a secret


class Span(NamedTuple):
    """A secret within a text; ``run`` leads on when it may go on behind the text's end."""

    start: int
    end: int
    run: re.Pattern[bytes] | None = None


class Found(NamedTuple):
    """All secrets of a text; ``open_from``: where something begins that may yet become one."""

    spans: list[Span]
    open_from: int


class _Scanner:
    """A compiled set of patterns; one scan at a time, from any thread."""

    def __init__(self, patterns: Sequence[bytes], flags: Sequence[int]) -> None:
        self._lock = threading.Lock()
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=list(patterns), ids=list(range(len(patterns))), flags=list(flags)
        )

    def hits(self, text: bytes) -> list[tuple[int, int, int]]:
        """Return pattern, start (0 where it was not asked for) and end of every match, by end."""
        hits: list[tuple[int, int, int]] = []

        def take(ident: int, start: int, end: int, _flags: int, _context: object) -> None:
            hits.append((ident, start, end))

        with self._lock:
            self._database.scan(text, match_event_handler=take)
        return hits


class Forms:
    """The forms of the secrets that a run knows."""

    def __init__(self, forms: tuple[bytes, ...]) -> None:
        heads: dict[bytes, list[bytes]] = {}
        for form in forms:
            heads.setdefault(form[:_HEAD_BYTES], []).append(form)
        self._heads = list(heads.items())
        literals = [b"".join(b"\\x%02x" % byte for byte in head) for head in heads]
        self._scanner = _Scanner(literals, [0] * len(literals)) if forms else None

    def spans(self, text: bytes) -> list[Span]:
        """Return where a form stands; those that overlap come apart."""
        spans: list[Span] = []
        for ident, _, end in self._scanner.hits(text) if self._scanner else ():
            head, forms = self._heads[ident]
            start = end - len(head)
            spans += [Span(start, start + len(f)) for f in forms if text.startswith(f, start)]
        return spans


class Kinds:
    """The kinds that show by themselves."""

    def __init__(self) -> None:
        starts = [hyperscan.HS_FLAG_SOM_LEFTMOST if kind.lead is None else 0 for kind in KINDS]
        self._scanner = _Scanner([kind.pattern for kind in KINDS], starts)

    def find(self, text: bytes) -> Found:
        """Return the secrets in ``text``."""
        spans: list[Span] = []
        reached, open_from = 0, len(text)
        for ident, start, end in self._scanner.hits(text):
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
def forms_engine(forms: tuple[bytes, ...]) -> Forms:
    """Return the engine for these forms; compiling takes some hundredths of a second."""
    return Forms(forms)


@cache
def kinds_engine() -> Kinds:
    """Return the engine for all kinds; compiling takes some tenths of a second, once."""
    return Kinds()


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


def openers() -> re.Pattern[bytes]:
    """Return what finds the beginning of a token whose rest may still come."""
    words = {re.escape(word) for kind in KINDS for word in kind.openers}
    url = rb"://[^/\s@:'\"]*+(?::[^\s@'\"]*+)?\Z"
    return re.compile(b"|".join([*sorted(words, key=len, reverse=True), url, b"-----BEGIN "]))


def _bounds(span: Span) -> tuple[int, int]:
    return span.start, span.end
