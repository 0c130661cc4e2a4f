"""Many patterns looked for in one pass: Hyperscan, which is linear in the text by construction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from asyncpipe.text.compiled import database

# Flags of Hyperscan (hs_compile.h); it is imported where a scanner is made, since that takes time.
FROM_START: Final = 256  # report where a match begins; costs more
ONCE: Final = 8  # report that a pattern matches, not how often
EACH_LINE: Final = 4  # ``^`` and ``$`` match at every line

Hit = tuple[int, int, int]
OnHit = Callable[[int, int, int, int, object], bool | None]


_END: Final = itemgetter(2)


class TooManyHitsError(Exception):
    """A text has more matches than its caller is ready to look at."""


class Scanner:
    """A compiled set of patterns; one scan at a time, from any thread.

    ``name``: patterns that are the same in every run are kept compiled under it.
    """

    def __init__(self, patterns: Sequence[bytes], flags: Sequence[int], *, name: str = "") -> None:
        import hyperscan  # noqa: PLC0415

        self._lock = threading.Lock()
        self._terminated = hyperscan.ScanTerminated
        self._database = database(patterns, flags, name=name)

    def hits(self, text: bytes, most: int, *, free: int | None = None) -> list[Hit]:
        """Return pattern, start (0 unless ``FROM_START``) and end of every match, by end.

        Raises:
            TooManyHitsError: there are more than ``most``, or more than ``free`` and their share
                of ``most`` in what was read so far; the scan stopped there.
        """
        hits: list[Hit] = []
        share = max(1, len(text)) / most if most else 0.0
        room = most if free is None else min(most, free)
        is_full = False

        def take(ident: int, start: int, end: int, _flags: int, _context: object) -> bool | None:
            nonlocal is_full
            hits.append((ident, start, end))
            if len(hits) > room:
                is_full = len(hits) > most or (len(hits) - room) * share > end
            return is_full

        self._scan(text, take)
        if is_full:
            raise TooManyHitsError
        hits.sort(key=_END)
        return hits

    def which(self, text: bytes) -> set[int]:
        """Return which patterns match at all; compiled with ``ONCE``."""
        found: set[int] = set()

        def take(ident: int, _start: int, _end: int, _flags: int, _context: object) -> None:
            found.add(ident)

        self._scan(text, take)
        return found

    def _scan(self, text: bytes, take: OnHit) -> None:
        try:
            with self._lock:
                self._database.scan(text, match_event_handler=take)
        except self._terminated:
            pass


def literal(text: bytes) -> bytes:
    """Return the pattern that matches these bytes only."""
    return b"".join(b"\\x%02x" % byte for byte in text)
