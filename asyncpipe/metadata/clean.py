"""What goes into the metadata made harmless: plain JSON, bounded, escaped, without secrets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final

from asyncpipe.model.template import Template
from asyncpipe.text import mask
from asyncpipe.text.safe import printable, without_userinfo
from asyncpipe.text.secrets import Secrets, is_secret_name, texts_of
from asyncpipe.text.secrets import secrets_of as values_secret

MAX_ITEMS: Final = 20_000  # packages: a full desktop has about 3,000
MAX_DEPTH: Final = 12
MASK: Final = "****"

_NEWLINE: Final = "\x1e"  # while the lines of a text are one


def secrets_of(template: Template) -> frozenset[str]:
    """Every text within a sensitive or secret-looking variable."""
    return frozenset(
        text
        for name, variable in template.variables.items()
        if variable.sensitive or is_secret_name(name)
        for text in texts_of(variable.value)
        if text
    )


def known_from(template: Template) -> Secrets:
    """Return the secrets of a template as the mask takes them."""
    texts = sorted(secrets_of(template))
    return values_secret({}, {str(at): text for at, text in enumerate(texts)})


def cleaned(document: dict[str, object], known: Secrets) -> dict[str, object]:
    """Return ``document`` as plain JSON values that are fit to be published.

    Every text is masked as the build log is: known secrets in all their forms, and what shows as
    a secret by itself. All texts go through the mask as one, a line each.
    """
    texts: list[str] = []
    plain = {key: _plain(value, texts, 1) for key, value in document.items()}
    lines = "\n".join(text.replace("\n", _NEWLINE) for text in texts)
    masked = iter(mask.text(lines, known).split("\n"))
    return {key: _filled(value, masked) for key, value in plain.items()}


class _Text:
    """The place of a text that goes through the mask."""


_TEXT: Final = _Text()


def _plain(value: object, texts: list[str], depth: int) -> object:
    """Make any value plain JSON, bounded; its texts are taken out, in order."""
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
            printable(str(key), 200): _plain(inner, texts, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(inner, texts, depth + 1) for inner in value[:MAX_ITEMS]]
    texts.append(str(value))
    return _TEXT


def _filled(value: object, texts: Iterator[str]) -> object:
    """Put the texts back, each on one line, escaped and without userinfo."""
    if isinstance(value, _Text):
        return printable(without_userinfo(next(texts).replace(_NEWLINE, "\n")))
    if isinstance(value, dict):
        return {key: _filled(inner, texts) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, texts) for inner in value]
    return value


def without_whole(value: object, secrets: frozenset[str]) -> object:
    """Mask every string within ``value`` that is a secret from end to end, however short."""
    if isinstance(value, str):
        return MASK if value in secrets else value
    if isinstance(value, dict):
        return {key: without_whole(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_whole(inner, secrets) for inner in value]
    return value
