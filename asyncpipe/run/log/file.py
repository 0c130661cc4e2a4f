"""The file of a build log: stamped lines, a bound, and what the disk says."""

from __future__ import annotations

import errno
import hashlib
import re
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Final

import anyio

from asyncpipe.model.log import SealedLog
from asyncpipe.ports import LogFile, LogFiles
from asyncpipe.text.format import size_text
from asyncpipe.text.safe import escaped, escaped_data

_CLOSE_S: Final = 30.0
_END_BYTES: Final = 4 * 1024 * 1024  # for the end of a log that exceeds its limit
_END_PIECES: Final = 64  # in which it is kept, so that it is cut about where it shall
_MARK: Final = b"[asyncpipe]"
_MANY_LINES: Final = 4096  # that came at once, with few bytes in each
_BYTES_PER_LINE: Final = 8
_LOOKED_AT_BYTES: Final = 1024
_MANY_EMPTY: Final = re.compile(rb"\n\n\n(\n+)")

_Pieces = tuple[bytes, ...]  # of what is written; joined once only, when much has come


class StampedText:
    """Puts the time in front of each line and escapes what a terminal would act on.

    All of it in bytes: Python replaces and counts in them three times as fast as in text.
    """

    def __init__(self) -> None:
        self.line_count = 0
        self._at_start = True
        self._begun = b""  # what the unfinished line has of the mark, from its first character on

    def stamped(self, text: str, now: datetime, *, is_plain: bool) -> tuple[_Pieces, int]:
        """Return ``text``, without surrogates, as the file has it, and how many newlines it has.

        Every line that begins here bears ``now``. ``is_plain``: nothing in the text acts.
        """
        return self._written(self._unmarked(text.encode() if is_plain else escaped_data(text)), now)

    def _written(self, body: bytes, now: datetime) -> tuple[_Pieces, int]:
        stamp = _stamp(now)
        end = b"\n" if body.endswith(b"\n") else b""
        lines = body[:-1] if end else body
        if b"\n\n\n\n" in lines:  # escaped text has no \x01 and no \x02
            begun = lines.count(b"\n")
            lines = _bared(lines).replace(b"\n", b"\n" + stamp)
            lines = lines.replace(b"\x01", b"\n").replace(b"\x02", stamp)
        else:
            # No line that bears a time begins with a blank.
            between = b" " if _is_flood(lines) else stamp
            bare_bytes = len(lines)
            lines = lines.replace(b"\n", b"\n" + between)
            begun = (len(lines) - bare_bytes) // len(between)  # to count them takes twice as long
        begin = stamp if self._at_start else b""
        self.line_count += begun + bool(begin)
        self._at_start = bool(end)
        return (begin, lines, end), begun + bool(end)

    def _unmarked(self, body: bytes) -> bytes:
        """Break up our mark where the output has it, also one that comes in pieces."""
        if self._at_start:
            self._begun = b""
        begun = self._begun
        if begun and _MARK.startswith(begun) and (begun + body).startswith(_MARK):
            body = b"\\" + body
        body = body.replace(_MARK, b"\\" + _MARK)
        last = body.rfind(b"\n")
        head = body[last + 1 : last + 1 + len(_MARK)]
        self._begun = head if last >= 0 or self._at_start else (begun + head)[: len(_MARK)]
        return body

    def own_line(self, text: str, now: datetime) -> bytes:
        """Return a line of ours; an unfinished line before it is ended."""
        head = self.end()
        line = escaped(text.replace("\n", " | ")).encode("utf-8", "backslashreplace")
        return head + b"".join(self._written(b"%b %b\n" % (_MARK, line), now)[0])

    def end(self) -> bytes:
        """End an unfinished line."""
        if self._at_start:
            return b""
        self._at_start = True
        return b"\n"


class BoundedFile:
    """The file up to its limit; of what exceeds it only the end is kept, and written last."""

    def __init__(self, disk: _Disk, limit_bytes: int) -> None:
        self._disk = disk
        self._limit_bytes = limit_bytes
        self._end_bytes = min(_END_BYTES, limit_bytes // 4)
        self._written_bytes = 0
        self._in_line = False
        self._end: deque[bytes] = deque()
        self._kept_bytes = self._left_out_bytes = 0

    @classmethod
    async def open(cls, path: Path, log_files: LogFiles, limit_bytes: int) -> BoundedFile:
        """Create the file; a disk that refuses is known when the log is sealed."""
        return cls(await _Disk.open(path, log_files), limit_bytes)

    async def write(self, data: bytes) -> None:
        """Take stamped text."""
        room = self._limit_bytes - self._end_bytes - self._written_bytes
        if not self._end:
            fits = len(data) if len(data) <= room else data.rfind(b"\n", 0, max(0, room)) + 1
            await self._begin(data[:fits])
            data = data[fits:]
        size = self._end_bytes // _END_PIECES + 1
        for at in range(0, len(data), size):
            self._keep(data[at : at + size])

    async def _begin(self, data: bytes) -> None:
        if data:
            self._written_bytes += len(data)
            self._in_line = not data.endswith(b"\n")
            await self._disk.write(data)

    def _keep(self, piece: bytes) -> None:
        self._end.append(piece)
        self._kept_bytes += len(piece)
        while self._kept_bytes - len(self._end[0]) >= self._end_bytes:
            self._left_out_bytes += len(self._end[0])
            self._kept_bytes -= len(self._end.popleft())

    async def close(self, writer: StampedText, now: datetime) -> None:
        """Write the end that was kept, and close."""
        if self._end:
            await self._disk.write(self._rest(writer, now))
        await self._disk.close()

    def _rest(self, writer: StampedText, now: datetime) -> bytes:
        """Return the end of the log, from the beginning of a line on, and the line before it."""
        end = b"".join(self._end)
        if not self._left_out_bytes:
            return end
        begin = end.find(b"\n") + 1
        self._left_out_bytes += begin
        note = writer.own_line(f"{self.problem}.", now)
        return (b"\n" if self._in_line else b"") + note + end[begin:]

    @property
    def problem(self) -> str:
        """What was left out, "" when nothing was."""
        if not self._left_out_bytes:
            return ""
        left_out, limit = size_text(self._left_out_bytes), size_text(self._limit_bytes)
        return f"{left_out} were left out here: build.log holds {limit} at most"

    def sealed(self, path: Path, line_count: int, redaction_count: int) -> SealedLog:
        """Say what is in the file."""
        return self._disk.sealed(path, line_count, redaction_count, self.problem)


class _Disk:
    """The file, its size and its digest; after the first refusal of the disk it only counts."""

    def __init__(self, file: LogFile | None, problem: str) -> None:
        self._file = file
        self._problem = problem
        self._reachable = True
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    @classmethod
    async def open(cls, path: Path, log_files: LogFiles) -> _Disk:
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

    def sealed(self, path: Path, line_count: int, redaction_count: int, left_out: str) -> SealedLog:
        problem = self._problem or left_out
        return SealedLog(
            path=path,
            size_bytes=self._size_bytes,
            sha256_hex=self._digest.hexdigest(),
            line_count=line_count,
            redaction_count=redaction_count,
            complete=not problem,
            problem=problem,
            reachable=self._reachable,
        )


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


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _stamp(now: datetime) -> bytes:
    return b"%bZ " % now.isoformat(timespec="milliseconds")[:23].encode()


def _is_flood(lines: bytes) -> bool:
    """Whether so many lines came at once, and so short ones, that times would be most of them."""
    few = lines[:_LOOKED_AT_BYTES]
    return (
        len(lines) > _MANY_LINES
        and few.count(b"\n") * _BYTES_PER_LINE > len(few)
        and lines.count(b"\n") > max(_MANY_LINES, len(lines) // _BYTES_PER_LINE)
    )


def _bared(lines: bytes) -> bytes:
    """Mark all but the first of many empty lines, and where the next line begins."""
    parts = _MANY_EMPTY.split(lines)
    marked = {run: b"\n\n\n%b\x02" % (b"\x01" * len(run)) for run in set(parts[1::2])}
    parts[1::2] = [marked[run] for run in parts[1::2]]
    return b"".join(parts)
