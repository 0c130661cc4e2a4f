"""Streams that somebody may print to make the log slow: a name and what is repeated."""

from __future__ import annotations

from typing import Final

HOSTILE: Final[dict[str, bytes]] = {
    "names of AWS keys": b"aws_se",
    "beginnings of JWTs": b"eyJ",
    "beginnings of keys": b"-----BEGIN",
    "keys of one line": b"-----BEGIN PRIVATE KEY-----\n",
    "keys and empty lines": b"-----BEGIN PRIVATE KEY-----\n" + b"\n" * 8,
    "beginnings of tokens": b"ghp_",
    "tokens": b"ghp_" + b"a" * 36 + b"\n",
    "URLs with passwords": b"://u:p@",
    "URLs with passwords, a line each": b"://u:p@\n",
    "passwords": b"password=x ",
    "passwords, a line each": b"password=x1y2z3\n",
    "references": b"password=$",
    "words of kinds": b"token: ok secret: no\n",
    "commands": b"mysql -px curl -u a:b ",
    "options": b" --a-pass-a-token",
    "tags": b"<password>a</password>",
    "a known secret": b"s3cr3t-P4ss,w0rd",
    "half a known secret": b"s3cr3t-P4",
    "C1 controls": b"\xc2\x9d",
    "C1 controls, a line each": b"\xc2\x9d\n",
    "NULs": b"a\x00",
    "colours": b"a\x1b[m",
    "colours, a line each": b"\x1b[31mok\x1b[m\n",
    "titles without end": b"\x1b]0;",
    "returns": b"a\r",
    "returns and newlines": b"ab\rcd\n",
    "overstruck letters": b"a\x08a",
    "characters that draw nothing": "a\u200b".encode(),
    "no UTF-8": b"\xff\xfe",
    "newlines": b"\n",
    "one letter": b"a",
    "letters, a line each": b"a\n",
    "blanks": b" ",
    "our own name": b"asyncpipe: x\n",
    "our own mark": b"[asyncpipe]\n",
    "phases": b"==> n.x: Running post-processor: x\n",
    "errors": b"Build 'n.x' errored: x\n",
    "diagnostics": b"Error: x\n",
    "facts of a guest": b"asyncpipe-evidence/1 begin\nID=debian\n",
}


def stream(name: str, size_bytes: int) -> bytes:
    """Return ``size_bytes`` of a stream."""
    unit = HOSTILE[name]
    return (unit * (size_bytes // len(unit) + 1))[:size_bytes]
