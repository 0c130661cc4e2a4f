"""Random secrets in every form, decorated, in any chunks and pauses: none of it may be read."""

from __future__ import annotations

import base64
import html
import itertools
import json
import random
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote

import pytest

from asyncpipe.text.mask import Redactor
from asyncpipe.text.secrets import secrets_of

_ALPHABET = (
    "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#$%&'()*+,-./:;<=>?@[]^_{|}~\"\\é"
)

_FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda value: value,
    "json": lambda value: json.dumps(value)[1:-1],
    "json in json": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "go json": lambda value: (
        json.dumps(value, ensure_ascii=False)[1:-1]
        .replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    ),
    "php json": lambda value: json.dumps(value)[1:-1].replace("/", r"\/"),
    "xml": lambda value: html.escape(value, quote=False),
    "html": html.escape,
    "single quotes": lambda value: value.replace("'", r"'\''"),
    "shlex": shlex.quote,
    "bash %q": lambda value: re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", value, flags=re.ASCII),
    "percent": lambda value: quote(value, safe=""),
    "percent, lower case": lambda value: re.sub(
        "%..", lambda found: found[0].lower(), quote(value, safe="")
    ),
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
    "machine row": lambda value: value.replace(",", "%!(PACKER_COMMA)"),
    "url": lambda value: f"https://me:{quote(value, safe='')}@host/x",
}  # fmt: skip


def _plain(text: str) -> bytes:
    return text.encode()


def _between(filler: bytes) -> Callable[[str], bytes]:
    return lambda text: filler.join(character.encode() for character in text)


_DECORATIONS: dict[str, Callable[[str], bytes]] = {
    "plain": _plain,
    "one colour": lambda text: b"\x1b[31m" + text.encode() + b"\x1b[0m",
    "a colour each": _between(b"\x1b[1;31m"),
    "NULs": _between(b"\x00"),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "zero width": _between("\u200b".encode()),
    "soft hyphens": _between("\u00ad".encode()),
    "joiners": _between("\u034f".encode()),
    "tags": _between("\U000e0001".encode()),
    "bells": _between(b"\x07"),
    "titles": _between(b"\x1b]0;x\x07"),
    "overstruck": lambda text: b"".join(b"%b\x08%b" % (c.encode(), c.encode()) for c in text),
}
#: Without letters of its own beyond ASCII where the decoration would not be UTF-8 any more.
_ASCII_ONLY = {"UTF-16", "overstruck"}
_HIDDEN = re.compile(
    r"\x1b\][^\x07]*\x07|\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f\u00ad\u034f\u200b\U000e0001]"
)


def _secret(source: random.Random, *, ascii_only: bool) -> str:
    alphabet = _ALPHABET[:-1] if ascii_only else _ALPHABET
    return "x" + "".join(source.choices(alphabet, k=source.randint(7, 40)))


def _shown(redactor: Redactor, data: bytes, source: random.Random) -> bytes:
    cuts = sorted(source.sample(range(len(data) + 1), k=min(len(data), source.randint(0, 6))))
    out = b""
    for start, end in itertools.pairwise([0, *cuts, len(data)]):
        out += redactor.feed(data[start:end])
        if source.random() < 0.5:
            out += redactor.settle()
    return out + redactor.flush()


def _leak(seed: int) -> str | None:
    source = random.Random(seed)
    decoration = source.choice(list(_DECORATIONS))
    value = _secret(source, ascii_only=decoration in _ASCII_ONLY)
    form = source.choice([*_FORMS, "base64", "base64 of user:password"])
    others = {f"other{number}": _secret(source, ascii_only=False) for number in range(3)}
    if form.startswith("base64"):
        before = "user:" if "user" in form else "y" * source.randint(0, 5)
        written = base64.b64encode(f"{before}{value}\n".encode()).decode()
    else:
        written = _FORMS[form](value)
    shown_bytes = _DECORATIONS[decoration](written)
    line = b"    n.x: it is " + shown_bytes + source.choice([b" here\n", b"\n", b"", b"\r\n", b"'"])
    out = _shown(Redactor(secrets_of({}, {"pw": value, **others})), line, source)
    text = out.decode("utf-8", "replace")
    readable = _HIDDEN.sub("", text)
    core = written[12:-6] if form.startswith("base64") else ""
    needle = core if len(core) >= 8 else written
    if needle in text or needle in readable or value in readable:
        return f"seed {seed}: {form}, {decoration}: {value!r} in {text!r}"
    return None


def _leaks(seeds: range) -> list[str]:
    return [leak for leak in map(_leak, seeds) if leak]


@pytest.mark.parametrize("block", range(4))
def test_no_form_of_a_secret_can_be_read(block: int) -> None:
    assert _leaks(range(block * 25, block * 25 + 25)) == []


@pytest.mark.heavy
def test_no_form_of_ten_thousand_secrets_can_be_read() -> None:
    assert _leaks(range(10_000)) == []
