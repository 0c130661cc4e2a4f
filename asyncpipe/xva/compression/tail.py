"""What may follow an archive or a compressed stream: a bounded number of zeroes."""

from __future__ import annotations

from typing import Final

from asyncpipe.xva.reject import HTTP_MARK, MIB, RejectError, http_reject, quoted_line

MAX_ZERO_BYTES: Final = MIB
_SAMPLE_BYTES: Final = 256  # of what should not be there, for the message


class ZeroTail:
    """Counts zeroes and rejects anything else once enough of it came to say what it is."""

    def __init__(self, offset_bytes: int, after: str) -> None:
        self._offset_bytes = offset_bytes  # of the first byte behind the end
        self._after = after
        self._sample = bytearray()
        self.zero_bytes = 0

    def feed(self, piece: memoryview) -> None:
        """Take what follows.

        Raises:
            RejectError: trailing-padding, trailing-garbage, http-error-in-stream.
        """
        data = bytes(piece[: MAX_ZERO_BYTES + _SAMPLE_BYTES + 1])
        if not self._sample:
            rest = data.lstrip(b"\0")
            self.zero_bytes += len(data) - len(rest)
            if self.zero_bytes > MAX_ZERO_BYTES:
                raise RejectError(
                    "trailing-padding",
                    self._offset_bytes,
                    f"more than {MAX_ZERO_BYTES:,} zero bytes follow {self._after}",
                )
            data = rest
        self._sample += data[: _SAMPLE_BYTES - len(self._sample)]
        if len(self._sample) >= _SAMPLE_BYTES:
            self.finish()

    def finish(self) -> None:
        """Reject when anything but zeroes was seen."""
        if not self._sample:
            return
        offset_bytes = self._offset_bytes + self.zero_bytes
        sample = bytes(self._sample)
        if sample.startswith(HTTP_MARK):
            raise http_reject(sample, offset_bytes)
        what = "a second archive" if sample.startswith(b"ova.xml\0") else quoted_line(sample, 60)
        raise RejectError(
            "trailing-garbage",
            offset_bytes,
            f"bytes follow {self._after} that do not belong: {what}",
        )
