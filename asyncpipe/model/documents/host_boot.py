"""What a boot test makes at a host, noted before it makes it: ``reap`` starts from there.

The note lies among the test's files until the host is clean. Jobs can write there, so that what it
says is checked again by whoever acts on it.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

NAME: Final = "host.json"
MAX_BYTES: Final = 64 * 1024
_VERSION: Final = 1

_Text = Annotated[str, msgspec.Meta(max_length=500)]


class HostBoot(msgspec.Struct, frozen=True, kw_only=True):
    """One boot test at a host."""

    schema_version: int = _VERSION
    run_id: _Text
    unit: _Text
    host: _Text  # its address; private, as the whole file is
    task: Annotated[str, msgspec.Meta(pattern=r"^OpaqueRef:[0-9A-Za-z-]{1,64}$")]  # of the import
    disk_name: _Text  # of the NoCloud drive; it has the run's id in it
    making_disk: bool = False  # the host was asked to make it, and its answer was not heard yet


def encode(note: HostBoot) -> bytes:
    """Return the form on disk."""
    return msgspec.json.encode(note)


def decode(body: bytes) -> HostBoot:
    """Read a note.

    Raises:
        ValueError: it is not such a document, or of another version.
    """
    note = msgspec.json.decode(body, type=HostBoot)
    if note.schema_version != _VERSION:
        raise ValueError("it was written by another version of asyncpipe")
    return note
