"""What looks like a secret whatever its value; each pattern is bounded and stays in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One kind of secret; ``hints`` are literals without which it cannot match (a fast no)."""

    hints: tuple[bytes, ...]
    expression: re.Pattern[bytes]  # its last group that took part is the secret


def _pattern(hints: bytes, expression: bytes) -> _Pattern:
    return _Pattern(tuple(hints.split()), re.compile(expression))


# The plugin prints the session of XAPI, which stays valid (it never logs out): in URLs, cookies.
_SESSION = rb"session_id(?:=|%3[Dd]|[\"']?[ \t]{0,4}:[ \t]{0,4}[\"']?)"
_PATTERNS: Final = (
    _pattern(b"session_id", _SESSION + rb"([^&\s'\"]{1,4096})"),
    _pattern(
        b"://",
        rb"://(?:[^/\s@:'\"]{0,256}:([^\s/'\"]{1,1024})|([^/\s@:'\"]{16,1024}))@",
    ),
    _pattern(b"-pw", rb"(?<![\w-])-pw[\"']?[ \t=,]{1,8}(\"[^\"\r\n]{1,1024}\"|[^\s\]]{1,1024})"),
    _pattern(
        b"uthorization UTHORIZATION",
        rb"[Aa](?:uthorization|UTHORIZATION)[\"']?[ \t]{0,4}[:=][ \t]{0,4}"
        rb"[\"']?([^\r\n\"']{1,4096})",
    ),
    _pattern(b"earer EARER", rb"[Bb](?:earer|EARER)[ \t]{1,4}([\w.~+/=-]{16,4096})"),
    _pattern(b"AKIA ASIA", rb"(?<![A-Za-z0-9])((?:AKIA|ASIA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
    _pattern(
        b"ecret ECRET oken OKEN",
        rb"(?i:aws_?(?:secret_?access_?key|session_?token|security_?token))"
        rb"[\"']?[ \t]{0,4}[=:][ \t]{0,4}[\"']?([\w/+=-]{16,4096})",
    ),
    _pattern(
        b"X-Amz- x-amz-",
        rb"(?i:x-amz-(?:signature|security-token|credential))[=:][ \t]{0,4}([^&\s'\"]{4,4096})",
    ),
    _pattern(
        b"gh glpat- github_pat_ xox",
        rb"(?<![A-Za-z0-9])(gh[pousr]_\w{30,255}|github_pat_\w{30,255}|glpat-[\w-]{20,255}"
        rb"|xox[abprs]-[\w-]{10,255})",
    ),
    _pattern(b"eyJ", rb"(?<![\w-])(eyJ[\w-]{10,4096}\.eyJ[\w-]{4,4096}\.[\w-]{4,4096})"),
    _pattern(b"-----BEGIN", rb"(-----BEGIN [A-Z0-9 ]{1,60}-----[^\r\n]{0,16384})"),
)

# A beginning at the end of what has arrived, whose rest may be still to come.
OPEN: Final = re.compile(
    rb"(?:session_id[^&\s]{0,4096}|://[^/\s]{0,1300}|-pw[\"']?[ \t=,]{0,8}[^\s]{0,1024}"
    rb"|[Aa](?:uthorization|UTHORIZATION)[^\r\n]{0,4096}|[Bb](?:earer|EARER)[ \t]{0,4}[^\s]{0,4096}"
    rb"|(?:AKIA|ASIA)[A-Z0-9]{0,16}|(?i:aws_?se)[^\s]{0,64}[ \t=:]{0,9}[^\s]{0,4096}"
    rb"|(?i:x-amz-)[^\s&]{0,4096}|gh[pousr]_\w{0,255}|github_pat_\w{0,255}|glpat-[\w-]{0,255}"
    rb"|xox[abprs]-[\w-]{0,255}|eyJ[\w.-]{0,8192}|-----BEGIN[^\r\n]{0,16384})\Z"
)
#: What a pattern begins with; a proper prefix of one is held back like that of a known secret.
OPENERS: Final = (
    *(b"session_id", b"://", b"-pw", b"Authorization", b"authorization", b"Bearer", b"bearer"),
    *(b"AKIA", b"ASIA", b"aws_se", b"AWS_SE", b"X-Amz-", b"x-amz-", b"github_pat_", b"glpat-"),
    *(b"-----BEGIN", b"eyJ"),
)

PEM_BEGIN: Final = b"-----BEGIN "
PEM_END: Final = b"-----END "
#: A line inside a PEM block, after whatever Packer printed in front of it.
PEM_BODY: Final = re.compile(
    rb"(?:^|[ \t])((?:Proc-Type|DEK-Info): [^\r\n]{1,200}|[A-Za-z0-9+/=]{1,128})[ \t\r]*$"
)


def spans(block: bytes) -> Iterator[Span]:
    """Yield where in ``block`` something looks like a secret."""
    for pattern in _PATTERNS:
        if any(hint in block for hint in pattern.hints):
            for match in pattern.expression.finditer(block):
                yield match.span(match.lastindex or 0)
