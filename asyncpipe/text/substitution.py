"""Other text in the place of single characters: at the speed of bytes, however many there are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from asyncpipe.text.scan import ONCE, Scanner, literal

_MOST_KINDS: Final = 24  # of characters that are replaced kind by kind


class Substitution:
    """A table of characters and their replacements.

    One scan says which of them a text has; each of these is replaced in one go, which takes a
    tenth of what looking each character up does.

    Args:
        table: code points -> text; a surrogate is a byte that is not UTF-8.
        many: pattern, in UTF-8, of those from ``below`` on, which are too many to be scanned for
            one by one.
    """

    def __init__(self, table: Mapping[int, str], many: bytes, *, below: int) -> None:
        self._table = table
        self._many = many
        self._below = below

    @cached_property
    def _pairs(self) -> list[tuple[bytes, bytes]]:
        pairs = [(chr(code), text) for code, text in self._table.items() if code < self._below]
        return [(_bytes_of(before), _bytes_of(after)) for before, after in pairs if before != after]

    @cached_property
    def _scanner(self) -> Scanner:
        patterns = [*(literal(before) for before, _ in self._pairs), self._many]
        return Scanner(patterns, [ONCE] * len(patterns))

    def kinds(self, data: bytes) -> list[tuple[bytes, bytes]] | None:
        """Return the characters that occur, with their replacements; None = too many."""
        found = self._scanner.which(data)
        if len(found) > _MOST_KINDS or len(self._pairs) in found:
            return None
        return [self._pairs[number] for number in found]

    def applied(self, data: bytes) -> bytes:
        """Return text in UTF-8 with the substitutes."""
        kinds = self.kinds(data)
        if kinds is None:
            return _bytes_of(data.decode("utf-8", "surrogatepass").translate(self._table))
        for before, after in kinds:
            data = data.replace(before, after)
        return data


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
