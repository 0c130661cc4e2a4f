"""The document -> the bytes of ``metadata.json``, always validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.documents import fields
from asyncpipe.model.documents.metadata import FailedMetadata, PublishedMetadata
from asyncpipe.text.safe import printable


def published(document: Mapping[str, Any]) -> PublishedMetadata:
    """Return the typed form of a published version's metadata; AsyncpipeError as ``encode``."""
    checked: PublishedMetadata = _checked(document, PublishedMetadata)
    return checked


def encode(document: Mapping[str, Any]) -> bytes:
    """Validate against the schema and serialise: UTF-8, sorted keys, newline at the end.

    Raises:
        AsyncpipeError: the document does not fit the schema: a bug of ours, not of the template.
    """
    return fields.encode(_checked(document, PublishedMetadata | FailedMetadata))


def _checked(document: Mapping[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise AsyncpipeError(
            f"metadata.json would not fit its schema: {printable(str(error), 300)}",
            hint="This is a fault of asyncpipe: please report it, with this message.",
        ) from error
