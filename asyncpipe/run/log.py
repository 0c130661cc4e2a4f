r"""Bytes -> redacted build.log + subscribers; only the file may apply back-pressure.

The file: UTF-8; each line begins with the UTC time of its first byte, ``2026-11-23T17:12:59.123Z``
and a blank. Bytes that a terminal would act on are written as ``\xNN`` (``\uNNNN``), a run of
more than three equal ones as ``\x00{9922}``; bytes that are no UTF-8 as ``\xNN`` too. So the file
keeps everything and is safe to ``cat``. Our own lines bear the mark ``[asyncpipe]``.
"""

from __future__ import annotations

import codecs
import errno
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
import structlog
from anyio.lowlevel import checkpoint

from asyncpipe.model.log import SealedLog
from asyncpipe.ports import LogFile, LogFiles
from asyncpipe.text import console
from asyncpipe.text.mask import Redactor

logger = structlog.get_logger()

PARTIAL_WAIT_S: Final = 0.03  # quiet after which an unfinished line is shown as far as it got
LINE_LIMIT_CHARS: Final = 8192  # of a line for subscribers
_PARTIAL_AGAIN_S: Final = 1.0  # a progress bar that repaints without newlines is shown this often
_CLOSE_S: Final = 30.0
_MARK: Final = "[asyncpipe] "

Subscriber = Callable[[str], None]


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
) -> AsyncIterator[BuildLog]:
    """Create ``path`` and keep it open; leaving seals the log if nobody did.

    A disk that refuses is not an error here: the build goes on and the sealed log says what is
    missing.
    """
    log = BuildLog(path, await _Sink.open(path, log_files), redactor, now)
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
        self, path: Path, sink: _Sink, redactor: Redactor, now: Callable[[], datetime]
    ) -> None:
        self._path = path
        self._sink = sink
        self._redactor = redactor
        self._now = now
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._writer = _StampedText()
        self._audience = _Audience()
        self._lock = anyio.Lock()
        self._outgoing = bytearray()  # bounded by the lock: every feed waits until it is written
        self._grown = anyio.Event()
        self._unseen_since_s: float | None = None
        self._note_redactions = 0
        self._sealed: SealedLog | None = None

    def subscribe(self, callback: Subscriber, *, whole_lines: bool = False) -> None:
        """Call ``callback`` with each line, less control characters, at most 8,192 characters.

        It must not block; if it raises it is dropped, the build is not. An unfinished line is
        delivered as far as it got after a short quiet and its rest as another line, unless
        ``whole_lines`` (for parsers) is set; then what exceeds the bound is cut.
        """
        self._audience.add(callback, whole_lines=whole_lines)

    async def feed(self, data: bytes) -> None:
        """Take output of the build; waits for the file only."""
        if self._sealed is None and data:
            self._take(self._redactor.feed(data))
            self._watch_unfinished(data)
            await self._drain()

    async def note(self, text: str) -> None:
        """Write a line of our own to the file; it is not output and reaches no subscriber."""
        if self._sealed is not None:
            return
        clean, count = self._redactor.whole(text)
        self._note_redactions += count
        self._outgoing += self._writer.own_line(_MARK + clean, self._now())
        await self._drain()

    async def seal(self) -> SealedLog:
        """Write what is left, close the file and tell its size and digest; idempotent."""
        if self._sealed is not None:
            return self._sealed
        self._take(self._redactor.flush(), final=True)
        self._audience.show_partial(whole_too=True)
        self._outgoing += self._writer.end()
        await self._drain()
        await self._sink.close()
        if self._sealed is None:
            self._sealed = self._sink.sealed(
                self._path, self._writer.line_count, self._redactor.count + self._note_redactions
            )
        return self._sealed

    async def show_unfinished(self) -> None:
        """Show an unfinished line once it is old enough; runs as long as the log is open."""
        while True:
            await self._grown.wait()
            self._grown = anyio.Event()
            while self._unseen_since_s is not None:
                due_s = self._unseen_since_s + self._audience.patience_s
                if anyio.current_time() < due_s:
                    await anyio.sleep_until(due_s)
                    await checkpoint()  # what is ready to be read goes first
                else:
                    self._unseen_since_s = None
                    self._take(self._redactor.settle())
                    self._audience.show_partial()
                    await self._drain()

    def _watch_unfinished(self, data: bytes) -> None:
        """Note since when the present unfinished line has something that nobody has seen."""
        if data.endswith(b"\n"):
            self._unseen_since_s = None
        elif self._unseen_since_s is None or b"\n" in data:
            self._unseen_since_s = anyio.current_time()
            self._grown.set()

    def _take(self, clean: bytes, *, final: bool = False) -> None:
        text = self._decoder.decode(clean, final)
        if text:
            self._audience.feed(text)
            self._outgoing += self._writer.stamped(text, self._now())

    async def _drain(self) -> None:
        async with self._lock:
            if self._outgoing:
                data, self._outgoing = bytes(self._outgoing), bytearray()
                await self._sink.write(data)


class _StampedText:
    """Puts the time in front of each line and escapes what a terminal would act on."""

    def __init__(self) -> None:
        self.line_count = 0
        self._at_start = True

    def stamped(self, text: str, now: datetime) -> bytes:
        """Return ``text`` as the file has it; every line that begins here bears ``now``."""
        stamp = _stamp(now)
        body = console.escaped(text)
        ends = body.endswith("\n")
        lines = body[:-1] if ends else body
        self.line_count += lines.count("\n") + (1 if self._at_start else 0)
        out = lines.replace("\n", "\n" + stamp) + ("\n" if ends else "")
        if self._at_start:
            out = stamp + out
        self._at_start = ends
        return out.encode("utf-8", "backslashreplace")

    def own_line(self, text: str, now: datetime) -> bytes:
        """Return a line of ours; an unfinished line before it is ended."""
        head = self.end()
        line = console.escaped(text.replace("\n", " | ")) + "\n"
        return head + self.stamped(line, now)

    def end(self) -> bytes:
        """End an unfinished line."""
        if self._at_start:
            return b""
        self._at_start = True
        return b"\n"


class _Audience:
    """The subscribers, and the line that is not finished yet."""

    def __init__(self) -> None:
        self._live: list[Subscriber] = []
        self._whole: list[Subscriber] = []
        self._line = ""  # the unfinished line; only its head and its end are kept
        self._shown_from = 0  # how much of it the live ones have seen
        self._repaints = False  # a part of it was shown already

    @property
    def patience_s(self) -> float:
        """How long an unfinished line may stay unseen."""
        return _PARTIAL_AGAIN_S if self._repaints else PARTIAL_WAIT_S

    def add(self, callback: Subscriber, *, whole_lines: bool) -> None:
        (self._whole if whole_lines else self._live).append(callback)

    def feed(self, text: str) -> None:
        *complete, rest = text.split("\n")
        for line in complete:
            self._end_line(line)
        self._grow(rest)

    def _end_line(self, text: str) -> None:
        self._grow(text)
        line, shown = self._line, self._shown_from
        self._line, self._shown_from, self._repaints = "", 0, False
        if self._whole:
            self._tell(self._whole, line)
        if not shown or shown < len(line):
            self._tell(self._live, line[shown:])

    def _grow(self, text: str) -> None:
        room = 2 * LINE_LIMIT_CHARS - len(self._line)
        if len(text) <= room:
            self._line += text
            return
        # Too long to be shown whole: what repaints itself is judged by its end, else by its head.
        carriage = text.rfind("\r")
        if carriage >= 0:
            self._line, self._shown_from = text[carriage + 1 :][: 2 * LINE_LIMIT_CHARS], 0
        else:
            self._line += text[:room]

    def show_partial(self, *, whole_too: bool = False) -> None:
        """Deliver what has come of the unfinished line; ``whole_too``: nothing will follow."""
        line, shown = self._line, self._shown_from
        if whole_too and line:
            self._tell(self._whole, line)
        if len(line) > shown:
            self._shown_from, self._repaints = len(line), True
            self._tell(self._live, line[shown:])

    @staticmethod
    def _tell(callbacks: list[Subscriber], line: str) -> None:
        text = console.for_console(line, LINE_LIMIT_CHARS)
        for callback in tuple(callbacks):
            try:
                callback(text)
            except Exception as error:
                callbacks.remove(callback)
                logger.warning("buildlog.listener_dropped", exc_info=error)


class _Sink:
    """The file, its size and its digest; after the first refusal of the disk it only counts."""

    def __init__(self, file: LogFile | None, problem: str) -> None:
        self._file = file
        self._problem = problem
        self._reachable = True
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    @classmethod
    async def open(cls, path: Path, log_files: LogFiles) -> _Sink:
        try:
            return cls(await log_files.create(path), "")
        except OSError as error:
            return cls(None, _reason(error))

    async def write(self, data: bytes) -> None:
        if self._file is None or self._problem:
            return
        try:
            await self._file.write(data)
        except OSError as error:
            self._refused(error)
            return
        except BaseException:  # cancelled, and the disk did not answer
            self._refused(OSError(errno.ETIMEDOUT, "the disk did not answer"))
            raise
        self._digest.update(data)
        self._size_bytes += len(data)

    async def close(self) -> None:
        if self._file is None:
            return
        with anyio.move_on_after(_CLOSE_S) as scope:
            try:
                await self._file.close()
            except OSError as error:
                self._refused(error)
        if scope.cancelled_caught:
            self._refused(OSError(errno.ETIMEDOUT, f"closing took more than {_CLOSE_S:g} s"))

    def _refused(self, error: OSError) -> None:
        self._problem = self._problem or _reason(error)
        self._reachable = self._reachable and error.errno != errno.ETIMEDOUT

    def sealed(self, path: Path, line_count: int, redaction_count: int) -> SealedLog:
        return SealedLog(
            path=path,
            size_bytes=self._size_bytes,
            sha256_hex=self._digest.hexdigest(),
            line_count=line_count,
            redaction_count=redaction_count,
            complete=not self._problem,
            problem=self._problem,
            reachable=self._reachable,
        )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _stamp(now: datetime) -> str:
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z "


def sealed_on_disk(path: Path, redaction_count: int) -> SealedLog:
    """A log that an earlier process sealed, as it lies on disk; blocks."""
    sha256, line_count, size_bytes = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while piece := file.read(1024 * 1024):
            sha256.update(piece)
            line_count += piece.count(b"\n")
            size_bytes += len(piece)
    return SealedLog(
        path=path,
        size_bytes=size_bytes,
        sha256_hex=sha256.hexdigest(),
        line_count=line_count,
        redaction_count=redaction_count,
    )
