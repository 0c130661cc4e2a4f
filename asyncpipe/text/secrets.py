"""Which values are secret, and every form in which they may be printed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, quote_plus, unquote

_LEAST_CHARS: Final = 6  # anything shorter is part of too many words and paths
_LEAST_ENCODED_BYTES: Final = 8
_LONGEST_FORM_BYTES: Final = 8192  # the redactor holds back at most this much
_LONGEST_NUMBER: Final = 11  # sizes, dates and ids up to this many digits are no secrets

_SECRET_NAME: Final = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY"
    r"|(?:^|_)(?:PASS|PAT|PW|KEY|AUTH|COOKIE)$",
    re.IGNORECASE,
)
_PLACE_NAME: Final = re.compile(r"(?:FILE|PATH|DIR|SOCK|CREDENTIALS)$", re.IGNORECASE)
_USERINFO: Final = re.compile(r"://[^/\s@:]*:([^\s/]+)@")
_COMMON: Final = frozenset(
    [
        "admin",
        "administrator",
        "almalinux",
        "alpine",
        "centos",
        "changeit",
        "debian",
        "default",
        "disabled",
        "enabled",
        "false",
        "fedora",
        "hashicorp",
        "localhost",
        "local",
        "master",
        "nobody",
        "none",
        "null",
        "oracle",
        "packer",
        "password",
        "redhat",
        "rocky",
        "root",
        "rockylinux",
        "secret",
        "server",
        "system",
        "template",
        "templates",
        "token",
        "true",
        "ubuntu",
        "username",
        "vagrant",
        "windows",
        "xcp-ng",
        "xenserver",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What must not be printed: every form of every secret, longest first; never shown itself."""

    forms: tuple[bytes, ...] = field(default=(), repr=False)
    values: tuple[str, ...] = field(default=(), repr=False)  # as they are, one line each


NO_SECRETS: Final = Secrets()


def secrets_of(environment: Mapping[str, str], sensitive: Mapping[str, str]) -> Secrets:
    """Collect the secrets that this process knows.

    Args:
        environment: all variables; those whose name says so are secret, and the password of a URL
            in any of them.
        sensitive: values of sensitive Packer variables by name.

    Values that would shred ordinary output are left alone: fewer than 6 characters, common words,
    numbers of up to 11 digits.
    """
    values = [*sensitive.values(), *_of_environment(environment)]
    forms = {form for value in values for line in _lines(value) for form in _forms(line)}
    bounded = {form[:_LONGEST_FORM_BYTES] for form in forms}
    return Secrets(
        forms=tuple(sorted(bounded, key=lambda form: (-len(form), form))),
        values=tuple(sorted({line for value in values for line in _lines(value)})),
    )


def _of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        names_a_place = _PLACE_NAME.search(name) and value.startswith(("/", "~", "."))
        if _SECRET_NAME.search(name) and not names_a_place:
            yield value
        for password in _USERINFO.findall(value):
            yield password
            yield unquote(password)


def _lines(value: str) -> Iterator[str]:
    """Split into lines: each is printed with a prefix of its own, so a newline never matches."""
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


def _forms(value: str) -> Iterator[bytes]:
    raw = value.encode("utf-8", "surrogateescape")
    yield raw
    yield raw.replace(b",", b"%!(PACKER_COMMA)")  # Packer's machine rows
    yield quote(raw, safe="").encode()
    yield quote(raw).encode()
    yield quote_plus(raw).encode()
    yield json.dumps(value)[1:-1].encode()
    yield json.dumps(value, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")
    yield from _base64_forms(raw)
    # Windows answer files and PowerShell's -EncodedCommand.
    yield from _base64_forms(value.encode("utf-16-le", "surrogatepass"))


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """Encode ``raw`` at each of the three alignments, less the bits of its neighbours."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        first = -(-shift * 8 // 6)  # characters that carry bits of what stands before
        last = (shift + len(raw)) * 8 // 6
        core = encoded[first:last]
        if len(core) >= _LEAST_ENCODED_BYTES:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))
