"""What people decide about versions: revocations, ends, and the history of channels."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from asyncpipe.model.documents import fields
from asyncpipe.model.documents.fields import MomentUtc, Name, Shown, Text, Timestamp

Reason = Annotated[str, Meta(max_length=500)]


class Revocation(Shown, frozen=True, kw_only=True):
    """Why a version must not be used."""

    reason: Reason
    by: Text  # the CI run or the user
    revoked_utc: MomentUtc | None


class Revoked(Struct, frozen=True, kw_only=True):
    """``revoked/{place}/{timestamp}.json``; it is never changed and never removed."""

    schema_version: fields.Version
    revocation: Revocation


class End(Shown, frozen=True, kw_only=True):
    """When a version stops being good."""

    expires_utc: MomentUtc | None  # None: never
    by: Text
    reason: Reason
    set_utc: MomentUtc


class Ended(Struct, frozen=True, kw_only=True):
    """``expiry/{place}/{timestamp}.json``; the last one that was written holds."""

    schema_version: fields.Version
    end: End


class Move(Shown, frozen=True, kw_only=True):
    """One change of a channel."""

    channel: Name
    before: Timestamp | None  # None: the channel is new
    after: Timestamp
    by: Text
    reason: Reason
    moved_utc: MomentUtc


class Moved(Struct, frozen=True, kw_only=True):
    """``templates/{place}/history/{channel}/{timestamp}-{token}.json``; it is never changed."""

    schema_version: fields.Version
    move: Move


def encode_revocation(revocation: Revocation) -> bytes:
    """Write the document of a revocation."""
    return fields.encode(Revoked(schema_version=fields.SCHEMA_VERSION, revocation=revocation))


def decode_revocation(body: bytes) -> Revocation:
    """Read it; UnreadableError, NewerSchemaError."""
    return fields.decode(body, Revoked).revocation


def encode_end(end: End) -> bytes:
    """Write the document of a version's end."""
    return fields.encode(Ended(schema_version=fields.SCHEMA_VERSION, end=end))


def decode_end(body: bytes) -> End:
    """Read it; UnreadableError, NewerSchemaError."""
    return fields.decode(body, Ended).end


def encode_move(move: Move) -> bytes:
    """Write the document of a channel's change."""
    return fields.encode(Moved(schema_version=fields.SCHEMA_VERSION, move=move))


def decode_move(body: bytes) -> Move:
    """Read it; UnreadableError, NewerSchemaError."""
    return fields.decode(body, Moved).move


def unreadable_revocation(problem: str) -> Revocation:
    """Stand in for a revocation that cannot be read: it counts all the same."""
    reason = f"its revocation cannot be read: {problem}"
    return Revocation(reason=reason[:500], by="", revoked_utc=None)


def as_document(found: Revocation | End | Move) -> dict[str, object]:
    """Return it as plain values, for JSON output."""
    plain: dict[str, object] = msgspec.to_builtins(found)
    return plain
