"""Random secrets, the forms in which programs print them, and what may stand between letters."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote

ALPHABET = (
    "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#$%&'()*+,-./:;<=>?@[]^_{|}~\"\\é"
)

FORMS: dict[str, Callable[[str], str]] = {
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


DECORATIONS: dict[str, Callable[[str], bytes]] = {
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
    "C1 behind ESC": _between("\x1b\x9d".encode()),
    "colours broken off": _between("\x1b[3\x901m".encode()),
    "colours halted": _between(b"\x1b[\x0031m"),
    "bare ESC": _between(b"\x1b"),
    "titles": _between(b"\x1b]0;x\x07"),
    "overstruck": lambda text: b"".join(b"%b\x08%b" % (c.encode(), c.encode()) for c in text),
}
# Without letters of its own beyond ASCII where the decoration would not be UTF-8 any more.
ASCII_ONLY = {"UTF-16", "overstruck"}
HIDDEN = re.compile(
    r"\x1b\][^\x07]*\x07|\x1b\[3?[\x00\x90]?[0-9;]*m"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u200b\U000e0001]"
)


def secret_of(source: random.Random, *, ascii_only: bool) -> str:
    alphabet = ALPHABET[:-1] if ascii_only else ALPHABET
    return "x" + "".join(source.choices(alphabet, k=source.randint(7, 40)))


BASE64 = ("base64", "base64 of user:password")


def written_as(form: str, value: str, source: random.Random) -> str:
    """Return ``value`` as a program prints it: one of ``FORMS`` or ``BASE64``."""
    if form not in BASE64:
        return FORMS[form](value)
    before = "user:" if "user" in form else "y" * source.randint(0, 5)
    return base64.b64encode(f"{before}{value}\n".encode()).decode()


def core_of(form: str, written: str) -> str:
    """Return what of a written secret tells it: Base64 shares letters with its neighbours."""
    core = written[12:-6] if form in BASE64 else ""
    return core if len(core) >= 8 else written
