"""pax headers and GNU long names: harmless when they change neither a name nor a size."""

from __future__ import annotations

from typing import Final

from asyncpipe.text.safe import printable
from asyncpipe.xva.read.tar import TarHeader
from asyncpipe.xva.reject import RejectError

MAX_EXTENSION_BYTES: Final = 64 * 1024
EXTENSION_KINDS: Final = frozenset({b"x", b"g", b"L"})
_HARMLESS: Final = frozenset(
    ["mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset", "hdrcharset"]
)
_HARMLESS_VENDORS: Final = ("SCHILY.", "LIBARCHIVE.")


class Extension:
    """What the extension headers before a member claim about it."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._size_bytes: int | None = None
        self._global_name: str | None = None
        self._global_size_bytes: int | None = None

    def read(self, kind: bytes, data: bytes, offset_bytes: int) -> None:
        """Take the body of an extension member.

        Raises:
            RejectError: tar-header when malformed, tar-type when it changes what import cannot.
        """
        if kind == b"L":
            self._name = data.rstrip(b"\0").decode("utf-8", "backslashreplace")
            return
        for key, value in _records(data, offset_bytes):
            self._record(kind, key, value, offset_bytes)

    def _record(self, kind: bytes, key: str, value: str, offset_bytes: int) -> None:
        if key == "path" and kind == b"g":
            self._global_name = value
        elif key == "path":
            self._name = value
        elif key == "size":
            size_bytes = int(value) if value.isascii() and value.isdigit() else -1
            if kind == b"g":
                self._global_size_bytes = size_bytes
            else:
                self._size_bytes = size_bytes
        elif key not in _HARMLESS and not key.startswith(_HARMLESS_VENDORS):
            raise RejectError(
                "tar-type",
                offset_bytes,
                f'a pax header sets "{printable(key, 40)}", which an XVA cannot have',
            )

    def check(self, header: TarHeader, offset_bytes: int) -> None:
        """Compare with the member that follows (tar-type) and forget what was for it alone."""
        name = self._name if self._name is not None else self._global_name
        size = self._size_bytes if self._size_bytes is not None else self._global_size_bytes
        self._name = self._size_bytes = None
        if name not in {None, header.name} or size not in {None, header.size_bytes}:
            raise RejectError(
                "tar-type",
                offset_bytes,
                "an extension header changes this member's name or size",
                member=header.name,
            )


def _records(data: bytes, offset_bytes: int) -> list[tuple[str, str]]:
    r"""Split ``LENGTH KEY=VALUE\\n`` records (POSIX.1-2017 pax)."""
    found = []
    rest = data
    while rest:
        digits, _, _ = rest.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        record = rest[:length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != length or not equals or not record.endswith(b"\n"):
            raise RejectError("tar-header", offset_bytes, "a pax header here is malformed")
        found.append((key.decode("utf-8", "replace"), value.decode("utf-8", "replace")))
        rest = rest[length:]
    return found
