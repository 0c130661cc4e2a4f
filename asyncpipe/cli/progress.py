"""How far a command has come, on stderr: a live line on a terminal, elsewhere a line every 20 s."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import click

from asyncpipe.report.console.rate import RateMeter
from asyncpipe.text.format import counted, duration_text, rate_text, size_text

if TYPE_CHECKING:
    from asyncpipe.ports import ObjectStore, Piece

_ON_TERMINAL_S: Final = 0.25
_IN_LOG_S: Final = 20.0  # as a build's status line (report/console/printers.py)


class Progress:
    """Shows amounts with their rate and, where the total is known, what is left.

    ``unit`` names what is counted; bytes when it is empty.
    """

    def __init__(
        self,
        name: str,
        total: int | None = None,
        *,
        unit: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._total = total
        self._unit = unit
        self._clock = clock
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._meter = RateMeter()
        # a command that is done at once says nothing in a log
        self._next_s = clock() + (0.0 if self._terminal else _IN_LOG_S)

    def update_of(self, done: int, total: int) -> None:
        """Show how much is done, of how much."""
        self._total = total
        self.update(done)

    def update(self, done: int) -> None:
        """Show how much is done, unless that was shown a moment ago."""
        now_s = self._clock()
        self._meter.add(now_s, done)
        if now_s < self._next_s:
            return
        self._next_s = now_s + (_ON_TERMINAL_S if self._terminal else _IN_LOG_S)
        text = f"{self._name}: {self._text(done, self._meter.rate(now_s))}"
        if self._terminal:
            click.echo(f"\r{text}\x1b[K", nl=False, err=True)
        else:
            click.echo(f"asyncpipe: {text}", err=True)

    def clear(self) -> None:
        """Remove the live line."""
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _text(self, done: int, rate: float | None) -> str:
        amount = counted(done, self._unit) if self._unit else size_text(done)
        if self._total:
            total = f"{self._total:,}" if self._unit else size_text(self._total)
            amount = f"{amount} of {total} {done / self._total:.0%}"
        words = [amount]
        if rate is not None:
            words.append(f"{rate:,.0f}/s" if self._unit else rate_text(rate))
        if rate and self._total and self._total > done:
            words.append(f"ETA {duration_text((self._total - done) / rate)}")
        return "  ".join(words)


class _Watched:
    """A store whose every read, write and removal counts."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._objects = 0
        self._read_bytes: int | None = None
        self.shown: Progress | None = None
        self.shown_bytes: Progress | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if name == "get_many" else found

    def _counted(self, get_many: Callable[..., Any]) -> Callable[..., Any]:
        """Only some stores read many at once."""

        async def counted(keys: Sequence[str], *, max_bytes: int) -> Any:
            bodies = await get_many(keys, max_bytes=max_bytes)
            self._count(len(bodies))
            return bodies

        return counted

    async def get(self, key: str, *, max_bytes: int) -> Any:
        self._count()
        return await self._store.get(key, max_bytes=max_bytes)

    async def delete(self, key: str) -> None:
        self._count()
        await self._store.delete(key)

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[Any]:
        reading = self._store.stream(key, offset_bytes=offset_bytes, size_bytes=size_bytes)
        async with reading as pieces:
            if self._read_bytes is None:
                self._read_bytes = offset_bytes  # an earlier attempt had the bytes before
            yield self._pieces(pieces)

    async def _pieces(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
        async for piece in pieces:
            self._read_bytes = (self._read_bytes or 0) + len(piece)
            if self.shown_bytes is not None:
                self.shown_bytes.update(self._read_bytes)
            yield piece

    def _count(self, number: int = 1) -> None:
        self._objects += number
        if self.shown is not None:
            self.shown.update(self._objects)


@asynccontextmanager
async def watched(store: ObjectStore, name: str) -> AsyncIterator[ObjectStore]:
    """Show how many objects of ``store`` a command has checked or removed."""
    watching = _Watched(store)
    watching.shown = Progress(name, unit="object")
    try:
        yield cast("ObjectStore", watching)
    finally:
        watching.shown.clear()


@asynccontextmanager
async def watched_stream(
    store: ObjectStore, name: str, total_bytes: int
) -> AsyncIterator[ObjectStore]:
    """Show how much of one object was read."""
    watching = _Watched(store)
    watching.shown_bytes = Progress(name, total_bytes)
    try:
        yield cast("ObjectStore", watching)
    finally:
        watching.shown_bytes.clear()
