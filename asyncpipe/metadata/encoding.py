"""The document -> the bytes of ``metadata.json``, never without a look at the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from asyncpipe.errors import AsyncpipeError
from asyncpipe.text.safe import printable


def encode(document: Mapping[str, Any]) -> bytes:
    """Validate against the shipped schema and serialise: UTF-8, sorted keys, newline at the end.

    Raises:
        AsyncpipeError: the document does not fit the schema: a bug of ours, not of the template.
    """
    for error in _validator().iter_errors(document):
        where = "/".join(str(step) for step in error.absolute_path) or "the document"
        raise AsyncpipeError(
            f"metadata.json would not fit its schema at {where}: {printable(error.message, 300)}",
            hint="This is a fault of asyncpipe: please report it, with this message.",
        )
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    return text.encode() + b"\n"


@cache
def _validator() -> Draft202012Validator:
    schema = resources.files("asyncpipe") / "schemas" / "metadata-1.schema.json"
    return Draft202012Validator(json.loads(schema.read_text()))
