"""Our own log: a thread writes it, so that a stderr that stalls or fails harms no build."""

from __future__ import annotations

import threading
from typing import Final, TextIO, cast

import anyio

from asyncpipe.report.safe_stream import forgiving
from asyncpipe.report.sink import Sink, StreamSink
from asyncpipe.system.threads import DaemonWorker

_MAX_WAITING: Final = 1000  # texts; what comes beyond that is lost
_CLOSE_S: Final = 1.0


class OwnLog:
    """A text stream for structlog; ``write`` never waits and never raises."""

    def __init__(self, stream: TextIO, *, github: bool) -> None:
        self._stream = forgiving(cast("TextIO", _Unbuffered(StreamSink(stream))), github=github)
        self._worker = DaemonWorker("own log")
        self._room = threading.BoundedSemaphore(_MAX_WAITING)

    def write(self, text: str) -> int:
        """Queue ``text``."""
        if self._room.acquire(blocking=False):
            self._worker.submit(self._write, text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: every text is written whole."""

    async def aclose(self) -> None:
        """Let the thread write what waits, for at most a second."""
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await self._worker.run(lambda: None)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        finally:
            self._room.release()


class _Unbuffered:
    """A sink with the ``write`` of a stream."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, text: str) -> int:
        self._sink.write(text)
        return len(text)
