"""The exception that a broken rule raises, and the messages that several rules share."""

from __future__ import annotations

from typing import Final

from asyncpipe.text.safe import printable

HTTP_MARK: Final = b"HTTP/1."  # a failing export writes its error answer into the stream
MIB: Final = 1024 * 1024


class RejectError(Exception):
    """The bytes break a rule; ``offset_bytes`` counts in the layer that raised it."""

    def __init__(self, code: str, offset_bytes: int, message: str, *, member: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.offset_bytes = offset_bytes
        self.message = message
        self.member = member


def quoted_line(data: bytes, limit: int = 120) -> str:
    """Return the first line of ``data`` between quotes, bounded and escaped."""
    line = data.split(b"\n", 1)[0].rstrip(b"\r\0")
    return f'"{printable(line.decode("utf-8", "replace"), limit)}"'


def http_reject(data: bytes, offset_bytes: int) -> RejectError:
    """Return the reject for an HTTP answer that stands where archive bytes must be."""
    reason = xapi_reason(data)
    return RejectError(
        "http-error-in-stream",
        offset_bytes,
        f"the export failed while it ran and its error page is in the file: {quoted_line(data)}"
        f"{reason}; export the VM again and look at the host's task",
    )


def xapi_reason(data: bytes) -> str:
    """Return ``, SR_BACKEND_FAILURE_46``-like error names from an error page."""
    for word in data.replace(b"<", b" ").replace(b">", b" ").split():
        name = word.strip(b"[](),;:'\"")
        if len(name) > 6 and b"_" in name and name.replace(b"_", b"").isalnum() and name.isupper():
            return f" ({printable(name.decode('ascii', 'replace'), 60)})"
    return ""
