"""What a secret is: names, values, forms, kinds. All that masks or withholds asks here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from asyncpipe.text.secrets.forms import forms_of
from asyncpipe.text.secrets.names import (
    WITHHELD,
    is_secret_name,
    is_withheld,
    names_a_place,
    passed_on,
)

__all__ = [
    "NO_SECRETS",
    "WITHHELD",
    "Secrets",
    "is_secret_name",
    "is_withheld",
    "passed_on",
    "secrets_of",
    "texts_of",
    "too_short",
]

_LEAST_CHARS: Final = 6  # anything shorter is part of too many words and paths
_LONGEST_FORM_BYTES: Final = 8192  # the redactor holds back at most this much
_LONGEST_NUMBER: Final = 11  # sizes, dates and ids up to this many digits are no secrets
_USERINFO: Final = re.compile(r"://[^/\s@:]*:([^\s/]+)@")
_COMMON: Final = frozenset(
    [
        *("admin", "administrator", "almalinux", "alpine", "centos", "changeit", "debian"),
        *("default", "disabled", "enabled", "false", "fedora", "hashicorp", "localhost"),
        *("local", "master", "nobody", "none", "null", "oracle", "packer", "password", "redhat"),
        *("rocky", "root", "rockylinux", "secret", "server", "system", "template"),
        *("templates", "token", "true", "ubuntu", "username", "vagrant", "windows", "xcp-ng"),
        *("xenserver"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What must not be printed: every form of every secret, longest first; never shown itself."""

    forms: tuple[bytes, ...] = field(default=(), repr=False)
    values: tuple[str, ...] = field(default=(), repr=False)  # as they are, one line each

    def joined(self, other: Secrets) -> Secrets:
        """Return what both know."""
        if set(other.forms) <= set(self.forms):
            return self  # an engine for these forms is mostly there already
        forms = {*self.forms, *other.forms}
        return Secrets(
            forms=tuple(sorted(forms, key=_longest_first)),
            values=tuple(sorted({*self.values, *other.values})),
        )


NO_SECRETS: Final = Secrets()


def secrets_of(environment: Mapping[str, str], sensitive: Mapping[str, str]) -> Secrets:
    """Collect the secrets that this process knows.

    Args:
        environment: all variables; those whose name says so are secret, and the password of a URL
            in any of them.
        sensitive: values of sensitive Packer variables by name.

    Values that would shred ordinary output are left alone (``too_short`` names them): fewer than
    6 characters, common words, numbers of up to 11 digits.
    """
    values = {line for value in _values(environment, sensitive) for line in _lines(value)}
    forms = {form for line in values for form in forms_of(line)}
    bounded = {form[:_LONGEST_FORM_BYTES] for form in forms}
    return Secrets(
        forms=tuple(sorted(bounded, key=_longest_first)),
        values=tuple(sorted(values)),
    )


def too_short(sensitive: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of sensitive values that are printed as they are, sorted.

    To mask a value of a few characters, or a common word, would shred the log and so tell the
    value by the holes.
    """
    return tuple(
        sorted(
            name
            for name, value in sensitive.items()
            if any(line.strip() and not _worth_hiding(line.strip()) for line in value.splitlines())
            and not next(_lines(value), None)
        )
    )


def texts_of(value: object) -> Iterator[str]:
    """Yield every text within a value of a template's variable, whatever its shape."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for inner in value:
            yield from texts_of(inner)


def _longest_first(form: bytes) -> tuple[int, bytes]:
    return -len(form), form


def _values(environment: Mapping[str, str], sensitive: Mapping[str, str]) -> Iterator[str]:
    yield from sensitive.values()
    for name, value in environment.items():
        if is_secret_name(name) and not names_a_place(name, value):
            yield value
        for password in _USERINFO.findall(value):
            yield password
            yield unquote(password)


def _lines(value: str) -> Iterator[str]:
    """Split into lines: each is printed with a prefix, so a newline never matches."""
    for line in re.split(r"[\r\n]+", value):
        stripped = line.strip()
        if _worth_hiding(stripped):
            yield stripped


def _worth_hiding(value: str) -> bool:
    return (
        len(value) >= _LEAST_CHARS
        and value.lower() not in _COMMON
        and not (value.isdigit() and len(value) <= _LONGEST_NUMBER)
        and len(set(value)) > 1  # "******", "------"
        and not value.startswith("-----")  # the frame of a PEM block
    )
