"""Some lines as one text, looked at one by one only where something may stand in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Final, NamedTuple, overload

from asyncpipe.text.scan import EACH_LINE, ONCE, Scanner, TooManyHitsError

_FREE_HITS: Final = 512  # of any text, however closely they follow one another
_BYTES_PER_HIT: Final = 256  # and of more text, one more for each so many bytes
_LOOKED_AT: Final = 32  # lines at each end of a text that is full of what may mean something
_ATTENTIVE_LINES: Final = 100  # of one text: those that are taken because of one before them
_ATTENTIVE_LINES_OF_FLOOD: Final = 32  # where each of them may mean something by itself


_PATTERNS: Final[list[bytes]] = []  # of all finders; each is made while its module is imported


@cache
def _all_patterns(count: int) -> Scanner:
    flags = [EACH_LINE | ONCE] * count
    return Scanner(_PATTERNS[:count], flags, name=f"lines-{count}")


class Lines(Sequence[str]):
    """Lines that came at once; ``text`` has newlines between them and none at its end.

    ``count``: how many they are, where that is known already; counting takes as long as a scan.
    """

    def __init__(self, text: str, count: int | None = None) -> None:
        self.text = text
        self._known_count = count

    @cached_property
    def _each(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8."""
        return self.text.encode("utf-8", "backslashreplace")

    @cached_property
    def telling(self) -> set[int]:
        """Which patterns of all finders match at all: one scan, whoever listens."""
        return _all_patterns(len(_PATTERNS)).which(self.data)

    def last(self, count: int) -> list[str]:
        """Return the last lines; quicker than a slice."""
        return self.text.rsplit("\n", count)[-count:]

    @cached_property
    def _count(self) -> int:
        return self._known_count or self.text.count("\n") + 1

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._each[index]


def prefixed(prefix: str, text: str) -> str:
    """Return ``text`` with ``prefix`` before each line; in bytes, which takes half the time."""
    if not (text.isascii() and prefix.isascii()):
        return prefix + text.replace("\n", f"\n{prefix}")
    return prefix + text.encode().replace(b"\n", f"\n{prefix}".encode()).decode()


class Found(NamedTuple):
    """Which lines may mean something, ascending, and how many that follow one may be read."""

    numbers: Sequence[int] = ()
    most_attentive: int = _ATTENTIVE_LINES


class LineFinder:
    """Finds the lines in which one of some patterns of Hyperscan's matches; ``^`` begins a line.

    A text may have so many hits, and ``dense_hits`` of them may follow one another more closely.
    What matches in most lines is looked for with ``is_common``: apart from the other patterns,
    whose scan would take three times as long.
    """

    def __init__(
        self,
        *patterns: str,
        bytes_per_hit: int = _BYTES_PER_HIT,
        dense_hits: int = _FREE_HITS,
        is_common: bool = False,
    ) -> None:
        self._patterns = [pattern.encode() for pattern in patterns]
        self._bytes_per_hit, self._dense_hits = bytes_per_hit, dense_hits
        self._numbers: range | None = None
        if not is_common:
            self._numbers = range(len(_PATTERNS), len(_PATTERNS) + len(patterns))
            _PATTERNS.extend(self._patterns)

    @cached_property
    def _scanner(self) -> Scanner:
        return Scanner(self._patterns, [EACH_LINE] * len(self._patterns))

    @cached_property
    def _first(self) -> Scanner:
        return Scanner(self._patterns, [EACH_LINE | ONCE] * len(self._patterns))

    def is_in(self, lines: Lines) -> bool:
        """Whether one of the patterns matches in any of the lines."""
        if self._numbers is None:
            return bool(self._first.which(lines.data))
        return not lines.telling.isdisjoint(self._numbers)

    def look(self, lines: Lines) -> Found:
        """Return the numbers of these lines.

        Of a text with more of them than any build prints, the first and the last lines.
        """
        if not self.is_in(lines):
            return Found()
        data = lines.data
        try:
            most = _FREE_HITS + len(data) // self._bytes_per_hit
            hits = self._scanner.hits(data, most, free=self._dense_hits)
        except TooManyHitsError:
            return Found(_ends(len(lines)), _ATTENTIVE_LINES_OF_FLOOD)
        return Found(_numbers(data, hits))


def walk(
    lines: Lines,
    found: Found,
    *,
    take: Callable[[str], None],
    is_attentive: Callable[[], bool],
    skip: Callable[[int, int], None] | None = None,
) -> None:
    """Call ``take`` with the lines that were found, and with those after one while attentive.

    ``skip`` is called with the numbers of all others: from the first to behind the last.
    """
    if not found.numbers and skip is None and not is_attentive():
        return
    count, position, room = len(lines), 0, found.most_attentive
    for number in (*found.numbers, count):
        while position < number and room and is_attentive():
            take(lines[position])
            position, room = position + 1, room - 1
        if position < number and skip:
            skip(position, number)
        if position <= number < count:
            take(lines[number])
            position = number + 1


def _numbers(data: bytes, hits: Sequence[tuple[int, int, int]]) -> list[int]:
    numbers: list[int] = []
    number = counted = 0
    for _, _, end in hits:
        number += data.count(b"\n", counted, end)
        counted = max(counted, end)
        if not numbers or numbers[-1] != number:
            numbers.append(number)
    return numbers


def _ends(count: int) -> Sequence[int]:
    if count <= 2 * _LOOKED_AT:
        return range(count)
    return (*range(_LOOKED_AT), *range(count - _LOOKED_AT, count))
