"""JSON documents at a store: types with bounds, and the one way to read them.

Whoever may write to the bucket may write a document, so sizes, numbers, times and texts have
bounds. The published JSON schemas (``asyncpipe/schemas``) are generated from the structs.
"""

from __future__ import annotations

import time
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from asyncpipe.errors import UploadError
from asyncpipe.text.format import moment_of
from asyncpipe.text.safe import printable

SCHEMA_VERSION: Final = 1
_MAX_AHEAD_S: Final = 86_400.0  # of our clock: clocks differ, by hours where zones go wrong

Short = Annotated[str, Meta(max_length=100)]
Name = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=2000)]
Key = Annotated[str, Meta(max_length=1024)]
Count = Annotated[int, Meta(ge=0, le=2**53)]  # what every reader of JSON can hold
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Timestamp = Annotated[str, Meta(pattern=r"^[0-9]{8}T[0-9]{6}Z$", max_length=16)]
MomentUtc = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|\+00:00)$",
        max_length=40,
    ),
]
Sha256Hex = Annotated[
    str,
    Meta(
        pattern="^([0-9a-f]{64})?$",
        max_length=64,
        description="Lower-case hex; empty when SHA-256 was switched off.",
    ),
]
Version = Annotated[int, Meta(ge=1, le=SCHEMA_VERSION)]

Document = TypeVar("Document")


class UnreadableError(UploadError):
    """A document at the store is not what its schema says."""


class NewerSchemaError(UploadError):
    """A document at the store was written by a newer asyncpipe; it is left as it is."""

    default_hint = "Update asyncpipe."


class Shown(Struct, frozen=True, kw_only=True):
    """Texts that people see: what a terminal would act on is escaped."""

    def __post_init__(self) -> None:
        for value in msgspec.structs.astuple(self):
            if value.__class__ is str and not value.isprintable():
                _escape(self)
                return


def _escape(shown: Shown) -> None:
    for name in shown.__struct_fields__:
        value = getattr(shown, name)
        if isinstance(value, str):
            msgspec.structs.force_setattr(shown, name, printable(value))


class _Head(Struct):
    schema_version: Annotated[int, Meta(ge=1, le=2**31)]


def decode(body: bytes, kind: type[Document]) -> Document:
    """Read a document of ours; ``kind`` has ``schema_version: Version``.

    Raises:
        UnreadableError: it does not fit the schema.
        NewerSchemaError: it has a later ``schema_version``.
    """
    try:
        return read(body, kind)
    except UnreadableError:
        version_of(body)  # a newer document is not expected to fit, and says so instead
        raise


def version_of(body: bytes, *, newest: int = SCHEMA_VERSION) -> int:
    """Return the ``schema_version`` of a document; raises as ``decode``."""
    version = read(body, _Head).schema_version
    if version > newest:
        raise NewerSchemaError(f"It has schema version {version}, this asyncpipe knows {newest}.")
    return version


def read(body: bytes | msgspec.Raw, kind: type[Document]) -> Document:
    """Read JSON as ``kind``; UnreadableError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"It does not fit its schema ({_shown(error)}).") from error
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise UnreadableError(f"It is not JSON ({_shown(error)}).") from error


def encode(document: object, *, compact: bool = False) -> bytes:
    """Write a document: UTF-8, keys sorted, a newline at the end; ``compact``: in one line."""
    body = msgspec.json.encode(document, order="sorted")
    return (body if compact else msgspec.json.format(body, indent=1)) + b"\n"


def require_past(timestamp: str) -> None:
    """Refuse a timestamp that is no date, or in the future: its version would stay the newest.

    Raises:
        ValueError
    """
    moment = moment_of(timestamp)
    if moment is None:
        raise ValueError(f"{timestamp} is not a date")
    if moment.timestamp() > time.time() + _MAX_AHEAD_S:
        raise ValueError(f"{timestamp} is in the future")


def _shown(error: Exception) -> str:
    return printable(str(error), 200)
