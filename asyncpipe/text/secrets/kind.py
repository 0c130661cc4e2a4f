"""What describes one kind of secret, and how far a secret of it reaches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Accept = Callable[[bytes, int, int], bool]

_WORD: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_LONGEST_WORD_BYTES: Final = 8192

#: A value in double quotes, in single quotes, between escaped quotes, without quotes.
_IN_DOUBLE: Final = re.compile(rb"(?:[^\"\\\n]|\\[^\n])*+")
_IN_SINGLE: Final = re.compile(rb"[^'\n]*+")
_IN_ESCAPED: Final = re.compile(rb"[^\"'\\\n]*+")
_BARE: Final = re.compile(rb"[^\s\"'&<>`]*+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of secret.

    ``pattern``: for Hyperscan. The secret begins ``lead`` bytes before the end of the match; or
    with the first ``head`` of the word that the match ends in; or else where the match begins,
    less what ``skip`` matches there. ``extent``
    runs from there to the secret's end; None = as its quotes say. With a ``trail`` the secret
    ends that many bytes before the match does, and before what ``extent`` adds to the match.
    ``accept`` says whether a match is a secret or a near miss. ``openers``: literals whose word is
    held back while it may still become one.
    """

    name: str
    pattern: bytes
    extent: re.Pattern[bytes] | None = None
    lead: int | None = None
    head: bytes = b""
    skip: re.Pattern[bytes] | None = None
    trail: int = 0
    openers: tuple[bytes, ...] = ()
    accept: Accept | None = None

    @property
    def needs_start(self) -> bool:
        """Whether ``begin`` asks where the match began."""
        return self.lead is None and not self.head

    def begin(self, text: bytes, start: int, end: int) -> int:
        """Return where the secret begins, given where the pattern matched."""
        if self.lead is not None:
            return end - self.lead
        if self.head:
            before = text[max(0, end - _LONGEST_WORD_BYTES) : end]
            word = end - len(before) + len(before.rstrip(_WORD))
            return max(word, text.find(self.head, word, end))
        skipped = self.skip.match(text, start) if self.skip else None
        return skipped.end() if skipped else start

    def end(self, text: bytes, begin: int, end: int, limit: int) -> int:
        """Return where a secret ends whose least part ends at ``end``; it runs on to ``limit``."""
        more = self.run(text, begin).match(text, end, limit)
        return (more.end() if more else end) - self.trail

    def run(self, text: bytes, begin: int) -> re.Pattern[bytes]:
        """Return the run that leads from ``begin`` to the secret's end."""
        if self.extent is not None:
            return self.extent
        before = text[max(0, begin - 2) : begin]
        if before in {b'\\"', b"\\'"}:
            return _IN_ESCAPED
        if before[-1:] == b'"':
            return _IN_DOUBLE
        return _IN_SINGLE if before[-1:] == b"'" else _BARE
