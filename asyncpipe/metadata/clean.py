"""What goes into the metadata made harmless: plain JSON, bounded, escaped, without secrets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Final

from asyncpipe.model.template import Template
from asyncpipe.text.safe import printable, without_userinfo
from asyncpipe.text.secrets import is_secret_name, texts_of

MAX_ITEMS: Final = 20_000  # packages: a full desktop has about 3,000
MAX_DEPTH: Final = 12
MASK: Final = "****"

_SHORTEST_SECRET = 8  # shorter ones ("root", "debian") are left where they occur in other text


def secrets_of(template: Template) -> frozenset[str]:
    """Every text within a sensitive or secret-looking variable."""
    return frozenset(
        text
        for name, variable in template.variables.items()
        if variable.sensitive or is_secret_name(name)
        for text in texts_of(variable.value)
        if text
    )


def cleaned(document: dict[str, object], secrets: frozenset[str]) -> dict[str, object]:
    """Return ``document`` as plain JSON values that are fit to be published."""
    # the longest first, so that a secret within another leaves no rest of it
    ordered = tuple(sorted(secrets, key=lambda secret: (-len(secret), secret)))
    return {key: _clean(value, ordered, 1) for key, value in document.items()}


def _clean(value: object, secrets: tuple[str, ...], depth: int) -> object:
    """Make any value plain JSON: bounded, escaped, without userinfo and known secrets."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            printable(str(key), 200): _clean(inner, secrets, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(inner, secrets, depth + 1) for inner in value[:MAX_ITEMS]]
    return printable(without_userinfo(_masked(str(value), secrets)))


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text


def without_whole(value: object, secrets: frozenset[str]) -> object:
    """Mask every string within ``value`` that is a secret from end to end, however short."""
    if isinstance(value, str):
        return MASK if value in secrets else value
    if isinstance(value, dict):
        return {key: without_whole(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_whole(inner, secrets) for inner in value]
    return value
