r"""Bytes -> redacted build.log + subscribers; only the file may apply back-pressure.

The file: UTF-8; each line begins with the UTC time of its first byte, ``2026-11-23T17:12:59.123Z``
and a blank. Bytes that a terminal would act on are written as ``\xNN`` (``\uNNNN``), a run of
more than three equal ones as ``\x00{9922}``; bytes that are no UTF-8 as ``\xNN`` too. So the file
is safe to ``cat``. Of more than three empty lines in a row the others bear no time; of more than
4,096 lines that came at once, with fewer than eight bytes in each, all but the first begin with a
blank instead. Our own lines bear the mark ``[asyncpipe]``, which stands as ``\[asyncpipe]`` where
the output has it. A log beyond ``LIMIT_BYTES`` keeps its beginning and its end; a line of ours says
what was left out between them, and so does the sealed log.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from asyncpipe.model.log import SealedLog
from asyncpipe.ports import LogFiles
from asyncpipe.run.log.audience import (
    Audience,
    BatchSubscriber,
    Subscriber,
    each_line,
)
from asyncpipe.run.log.file import BoundedFile, StampedText
from asyncpipe.text.mask import Redactor
from asyncpipe.text.safe import decodable, is_plain

LIMIT_BYTES: Final = 256 * 1024 * 1024  # of build.log; a real build writes a few MiB
_OVERDUE_S: Final = 2.0  # what may be the beginning of a secret is held back for as long
_WRITE_EVERY_S: Final = 0.16  # each write wakes a thread: what follows one so soon waits for more
_UNWRITTEN_S: Final = 0.2  # and when nothing follows, for no longer than this
_WRITE_BYTES: Final = 256 * 1024  # or until there is so much


def utc_now() -> datetime:
    """Return the time of the wall clock."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_log(
    path: Path,
    *,
    log_files: LogFiles,
    redactor: Redactor,
    now: Callable[[], datetime] = utc_now,
    limit_bytes: int = LIMIT_BYTES,
) -> AsyncIterator[BuildLog]:
    """Create ``path`` and keep it open; leaving seals the log if nobody did.

    A disk that refuses is not an error here: the build goes on and the sealed log says what is
    missing.
    """
    file = await BoundedFile.open(path, log_files, limit_bytes)
    log = BuildLog(path, file, redactor, now)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.show_unfinished)
            try:
                yield log
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:  # of one: what the caller's own block raised
        raise (group.exceptions[0] if len(group.exceptions) == 1 else group) from None
    finally:
        with anyio.CancelScope(shield=True):
            await log.seal()


class BuildLog:
    """A log that is being written; ``seal`` ends it."""

    def __init__(
        self, path: Path, file: BoundedFile, redactor: Redactor, now: Callable[[], datetime]
    ) -> None:
        self._path = path
        self._file = file
        self._redactor = redactor
        self._now = now
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._writer = StampedText()
        self._audience = Audience()
        self._lock = anyio.Lock(fast_acquire=True)  # whoever writes waits for the disk anyway
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0  # bounded: a feed that finds much of it waits until it is written
        self._written_s = -math.inf
        self._grown = anyio.Event()
        self._waits_until_s = math.inf  # the task for unfinished lines; a later due wakes nobody
        self._unseen_since_s: float | None = None
        self._unwritten_since_s: float | None = None
        self._held_since_s: float | None = None
        self._note_redactions = 0
        self._sealed: SealedLog | None = None

    def subscribe(self, callback: Subscriber, *, whole_lines: bool = False) -> None:
        """Call ``callback`` with each line, less control characters, at most 8,192 characters.

        It must not block; if it raises it is dropped, the build is not. An unfinished line is
        delivered as far as it got after a short quiet and its rest as another line, unless
        ``whole_lines`` (for parsers) is set; then what exceeds the bound is cut.
        """
        self._audience.add(each_line(callback), whole_lines=whole_lines)

    def subscribe_batches(self, callback: BatchSubscriber, *, whole_lines: bool = False) -> None:
        """Call ``callback`` with all lines that came at once; as ``subscribe`` otherwise."""
        self._audience.add(callback, whole_lines=whole_lines)

    def dismiss(self) -> None:
        """Call no subscriber any more: what follows is not the build's output."""
        self._audience.show_partial(whole_too=True)
        self._audience = Audience()

    async def feed(self, data: bytes) -> None:
        """Take output of the build; waits for the file only."""
        if self._sealed is None and data:
            self._take(self._redactor.feed(data))
            self._watch_unfinished(data)
            await self._write()

    async def note(self, text: str) -> None:
        """Write a line of our own to the file; it is not output and reaches no subscriber."""
        if self._sealed is not None:
            return
        clean, count = self._redactor.whole(text)
        self._note_redactions += count
        self._put(self._writer.own_line(clean, self._now()))
        await self._drain()

    async def seal(self) -> SealedLog:
        """Write what is left, close the file and return its size and digest; idempotent."""
        if self._sealed is not None:
            return self._sealed
        self._take(self._redactor.flush(), final=True)
        self._audience.show_partial(whole_too=True)
        self._put(self._writer.end())
        await self._drain()
        await self._file.close(self._writer, self._now())
        if self._sealed is None:
            self._sealed = self._file.sealed(
                self._path, self._writer.line_count, self._redactor.count + self._note_redactions
            )
        return self._sealed

    async def show_unfinished(self) -> None:
        """Show an unfinished line, and write what waits, in time; runs while the log is open."""
        while True:
            await self._grown.wait()
            self._grown = anyio.Event()
            while (due_s := self._due_s()) is not None:
                if anyio.current_time() < due_s:
                    self._waits_until_s = due_s
                    with anyio.move_on_at(due_s):  # new output may be due sooner
                        await self._grown.wait()
                    self._waits_until_s = math.inf
                    self._grown = anyio.Event()
                    await checkpoint()  # what is ready to be read goes first
                else:
                    self._show_due()
                    await self._drain()

    def _due_s(self) -> float | None:
        """When an unfinished line is to be shown, or something to be written; None = nothing is."""
        shown_s, written_s = self._shown_due_s(), math.inf
        if self._unwritten_since_s is not None:
            written_s = self._unwritten_since_s + _UNWRITTEN_S
        due_s = min(shown_s, written_s)
        return None if due_s == math.inf else due_s

    def _shown_due_s(self) -> float:
        unseen_s, held_s = self._unseen_since_s, self._held_since_s
        return min(
            math.inf if unseen_s is None else unseen_s + self._audience.patience_s,
            math.inf if held_s is None else held_s + _OVERDUE_S,
        )

    def _show_due(self) -> None:
        now_s = anyio.current_time()
        if now_s < self._shown_due_s():
            return
        held_since_s = self._held_since_s
        overdue = held_since_s is not None and now_s >= held_since_s + _OVERDUE_S
        self._unseen_since_s = None
        self._take(self._redactor.settle(overdue=overdue))
        if not self._redactor.pending:
            self._held_since_s = None
        elif self._held_since_s is None:
            self._held_since_s = now_s
        self._audience.show_partial()

    def _watch_unfinished(self, data: bytes) -> None:
        """Note since when the present unfinished line has something that nobody has seen."""
        if b"\n" in data:
            self._held_since_s = None
        if data.endswith(b"\n"):
            self._unseen_since_s = None
        elif self._unseen_since_s is None or b"\n" in data:
            self._unseen_since_s = anyio.current_time()
            self._wake()

    def _wake(self) -> None:
        """Wake the task for unfinished lines if it would sleep too long."""
        due_s = self._due_s()
        if due_s is not None and due_s < self._waits_until_s:
            self._grown.set()

    def _take(self, clean: bytes, *, final: bool = False) -> None:
        text = decodable(self._decoder.decode(clean, final))
        if text:
            plain = self._is_plain(text)
            stamped, newlines = self._writer.stamped(text, self._now(), is_plain=plain)
            self._put(*stamped)
            self._audience.feed(text, newlines, is_plain=plain)

    def _is_plain(self, text: str) -> bool:
        """Whether nothing acts in what left the redactor last; mostly that is known there."""
        known = self._redactor.is_plain
        if known and not (text.isascii() and "\r" not in text):
            known = None
        return is_plain(text) if known is None else known

    def _put(self, *pieces: bytes) -> None:
        self._outgoing += pieces
        self._outgoing_bytes += sum(map(len, pieces))

    async def _write(self) -> None:
        """Write what has come, or leave it to a later call or to the task for unfinished lines."""
        now_s = anyio.current_time()
        if self._outgoing_bytes >= _WRITE_BYTES or now_s >= self._written_s + _WRITE_EVERY_S:
            await self._drain()
        elif self._outgoing_bytes and self._unwritten_since_s is None:
            self._unwritten_since_s = now_s
            self._wake()

    async def _drain(self) -> None:
        async with self._lock:
            if self._outgoing_bytes:
                data = b"".join(self._outgoing)
                self._outgoing, self._outgoing_bytes = [], 0
                self._unwritten_since_s = None
                await self._file.write(data)
                self._written_s = anyio.current_time()
