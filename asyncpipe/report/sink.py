"""Where the writing thread writes: the file descriptor itself where there is one."""

from __future__ import annotations

import os
from typing import Final, Protocol, TextIO

_PIECE_CHARS: Final = 4096


class Sink(Protocol):
    """Takes whole texts; raises OSError or ValueError when the other side is gone."""

    def write(self, text: str) -> None:
        """Write all of ``text`` and flush."""
        ...


class StreamSink:
    """A text stream; past its buffer where it has a descriptor.

    A thread that hangs in a stalled terminal must not hold the lock of ``sys.stdout``: the
    interpreter would abort at its end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        try:
            stream.flush()  # what was printed before comes before
            self._descriptor: int | None = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._descriptor = None

    def write(self, text: str) -> None:
        """Write all of ``text``; characters that UTF-8 cannot hold become ``?``."""
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        rest = memoryview(_encoded(text))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def _encoded(text: str) -> bytes:
    """Return UTF-8; of a long text by the piece, since one that is ASCII takes a tenth of it."""
    if text.isascii():
        return text.encode()
    pieces = range(0, len(text), _PIECE_CHARS)
    return b"".join([text[at : at + _PIECE_CHARS].encode("utf-8", "replace") for at in pieces])
