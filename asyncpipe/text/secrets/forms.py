r"""Every form in which a value may be printed: escaped, quoted, encoded.

Go writes ``&`` as ``\u0026`` in JSON, a shell quotes ``'`` as ``'\''`` or ``$'\x..'``, XML has
entities, URLs have percents in either case, and Base64 has three alignments.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

_LEAST_ENCODED_BYTES: Final = 8
_GO_ESCAPES: Final = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_XML: Final = str.maketrans({"'": "&apos;", '"': "&quot;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SHELL_SPECIAL: Final = re.compile(r"[^\w@%+=:,./-]", re.ASCII)
_PERCENT: Final = re.compile(rb"%[0-9A-F]{2}")


def forms_of(value: str) -> Iterator[bytes]:
    """Yield ``value`` in every form; the same one may come twice."""
    raw = _bytes(value)
    yield raw
    yield raw.replace(b",", b"%!(PACKER_COMMA)")  # Packer's machine rows
    yield from _escaped(value)
    yield from _percent(raw)
    yield from _hex(raw)
    yield from base64_forms(raw)
    # Windows answer files and PowerShell's -EncodedCommand.
    yield from base64_forms(value.encode("utf-16-le", "surrogatepass"))


def _escaped(value: str) -> Iterator[bytes]:
    for inner in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        for form in (inner, inner.translate(_GO_ESCAPES)):
            yield from (_bytes(form), _bytes(form.replace("/", "\\/")))
            yield _bytes(json.dumps(form, ensure_ascii=False)[1:-1])  # JSON within JSON
    yield _bytes(value.translate(_XML))
    yield _bytes(html.escape(value, quote=False))
    yield _bytes(html.escape(value))  # &#x27;
    yield _bytes(html.escape(value).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))  # Go
    yield from map(_bytes, _shell(value))


def _shell(value: str) -> Iterator[str]:
    yield value.replace("'", "'\\''")
    yield shlex.quote(value).strip("'")
    yield _SHELL_SPECIAL.sub(r"\\\g<0>", value)  # bash: printf %q
    yield value.replace("\\", "\\\\").replace("'", "\\'")  # bash: $'...'
    yield re.sub(r'(["\\$`])', r"\\\1", value)  # within double quotes
    yield value.replace("'", "''")  # PowerShell and YAML
    yield repr(value)[1:-1]


def _percent(raw: bytes) -> Iterator[bytes]:
    for form in (
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        quote(raw, safe="!*'();:@&=+$,/?#[]"),
    ):
        yield form.encode()
        yield _PERCENT.sub(lambda found: found[0].lower(), form.encode())


def _hex(raw: bytes) -> Iterator[bytes]:
    for text in (raw.hex(), raw.hex(" "), raw.hex(":"), "\\x" + "\\x".join(raw.hex(" ").split())):
        yield text.encode()
        yield text.upper().replace("\\X", "\\x").encode()


def base64_forms(raw: bytes) -> Iterator[bytes]:
    """Encode ``raw`` at each of the three alignments, less the bits of its neighbours."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        first = -(-shift * 8 // 6)  # characters that carry bits of what stands before
        last = (shift + len(raw)) * 8 // 6
        core = encoded[first:last]
        if len(core) >= _LEAST_ENCODED_BYTES:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))
            yield core.replace(b"/", b"\\/")
            yield core.replace(b"+", b"%2B").replace(b"/", b"%2F")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, as JSON may spell it
        return text.encode("utf-8", "surrogatepass")
