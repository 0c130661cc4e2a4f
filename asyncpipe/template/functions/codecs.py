"""Functions that encode, decode and hash: JSON, YAML, CSV, base64, text encodings, networks."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import ipaddress
import json
import re
import urllib.parse
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from asyncpipe.template.functions.spec import INT, STRINGS, Function, never_known, on_text
from asyncpipe.template.values import cty, number
from asyncpipe.template.values.convert import collection
from asyncpipe.template.values.cty import ANY, NUMBER, STRING, Failed, Type, Val
from asyncpipe.template.values.number import NotKnown

_MAX_CHARS: Final = 1_000_000
_NAMESPACES: Final = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}
_HTML: Final = str.maketrans(
    {one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}
)  # what Go's encoder escapes besides what JSON must


def json_of(value: Val) -> str:
    """Write a value as Go's JSON encoder does, which escapes what HTML would misread."""
    raw = value.raw
    if raw is None or isinstance(raw, bool):
        return "null" if raw is None else str(raw).lower()
    if isinstance(raw, str):
        return json.dumps(raw, ensure_ascii=False).translate(_HTML)
    if isinstance(raw, Fraction):
        return number.text(raw)
    if isinstance(raw, dict):
        pairs = (f"{json_of(cty.text(name))}:{json_of(one)}" for name, one in raw.items())
        return f"{{{_bounded(pairs)}}}"
    return f"[{_bounded(json_of(one) for _, one in value.elements())}]"


def _bounded(pieces: Any) -> str:
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > _MAX_CHARS:
            raise NotKnown
        kept.append(piece)
    return ",".join(kept)


def _json_value(text: str) -> Val:
    def numeral(spelled: str) -> Fraction:
        found = number.parse(spelled)
        return Fraction(0) if found is None else found

    def constant(_: str) -> Any:
        raise Failed("this is not JSON")

    try:
        content = json.loads(text, parse_int=numeral, parse_float=numeral, parse_constant=constant)
        return cty.from_json(content)
    except (ValueError, RecursionError):
        raise Failed("this is not JSON") from None


def _csv_rows(text: str) -> Val:
    lines = text.replace("\r\n", "\n").split("\n")
    try:
        rows = list(csv.reader((f"{line}\n" for line in lines), strict=True))
    except csv.Error:
        raise Failed("this is not CSV") from None
    rows = [row for row in rows if row]
    if not rows or len(set(rows[0])) != len(rows[0]):
        raise Failed("the header line is missing or names a column twice")
    if any(len(row) != len(rows[0]) for row in rows):
        raise Failed("the rows have different lengths")
    names, of = rows[0], Type("object", tuple((name, STRING) for name in sorted(rows[0])))
    found = (cty.object_of(dict(zip(names, map(cty.text, row), strict=True))) for row in rows[1:])
    return collection("list", found, of)


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True)
    except (binascii.Error, ValueError):
        raise Failed("this is not base64") from None


def _decoded(text: str, encoding: str = "utf-8") -> str:
    try:
        return _from_base64(text).decode(encoding)
    except UnicodeError:
        raise Failed("these bytes are not text") from None
    except LookupError:
        raise NotKnown from None


def _encoded(text: str, encoding: str = "utf-8") -> str:
    try:
        return base64.b64encode(text.encode(encoding)).decode()
    except UnicodeError:
        raise Failed("this text has characters that the encoding lacks") from None
    except LookupError:
        raise NotKnown from None


def _digest(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _uuid5(namespace: str, name: str) -> str:
    try:
        return str(uuid.uuid5(_NAMESPACES.get(namespace) or uuid.UUID(namespace), name))
    except ValueError:
        raise Failed("this is not a namespace") from None


def _network(prefix: str) -> Any:
    if "/" not in prefix:
        raise Failed("this is not a network")
    try:
        return ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        raise Failed("this is not a network") from None


def _cidrhost(prefix: str, host: int) -> str:
    network = _network(prefix)
    if not -network.num_addresses <= host < network.num_addresses:
        raise Failed("the network has no such host")
    return str(network[host])


def _cidrsubnet(prefix: str, more_bits: int, which: int) -> str:
    network = _network(prefix)
    length = network.prefixlen + more_bits
    if which < 0 or more_bits > 32 or length > network.max_prefixlen:
        raise Failed("the network has no such part")
    if more_bits >= 0 and which >= 1 << more_bits:
        raise Failed("the network has no such part")
    address = int(network.network_address) | which << (network.max_prefixlen - length)
    if length < 0 or address >= 1 << network.max_prefixlen:
        raise NotKnown
    return f"{type(network.network_address)(address)}/{length}"


def _cidrsubnets(prefix: str, *more_bits: int) -> list[str]:
    network = _network(prefix)
    found: list[str] = []
    following = int(network.network_address)
    end = following + int(network.num_addresses)
    for bits in more_bits:
        length = network.prefixlen + bits
        if not 1 <= bits <= 32 or length > network.max_prefixlen:
            raise Failed("the network cannot be divided so")
        size = 1 << (network.max_prefixlen - length)
        start = -(-following // size) * size
        if start + size > end:
            raise Failed("the network is too small")
        found.append(f"{type(network.network_address)(start)}/{length}")
        following = start + size
    return found


def _yaml_value(text: str) -> Val:
    # loaded when a template needs it: 30 ms of every start
    from asyncpipe.template.functions.yaml_form import yaml_value  # noqa: PLC0415

    return yaml_value(text)


def _yaml_of(value: Val) -> str:
    from asyncpipe.template.functions.yaml_form import yaml_of  # noqa: PLC0415

    return yaml_of(value)


FUNCTIONS: Final = {
    "aws_secretsmanager": never_known(STRING, rest=STRING),
    "aws_secretsmanager_raw": never_known(STRING),
    "base64decode": on_text(_decoded),
    "base64encode": on_text(_encoded),
    "base64gzip": never_known(STRING),
    "bcrypt": never_known(STRING, rest=NUMBER, filled=True),
    "cidrhost": on_text(_cidrhost, INT),
    "cidrnetmask": on_text(lambda prefix: str(_network(prefix).netmask)),
    "cidrsubnet": on_text(_cidrsubnet, INT, INT),
    "cidrsubnets": Function(call=_cidrsubnets, takes=(STRING,), rest=INT, returns=STRINGS),
    "consul_key": never_known(STRING),
    "csvdecode": on_text(_csv_rows, returns=ANY),
    "jsondecode": on_text(_json_value, returns=ANY),
    "jsonencode": Function(call=json_of, takes=(ANY,), returns=STRING, nulls=True),
    "md5": on_text(_digest("md5")),
    "rsadecrypt": never_known(STRING, STRING),
    "sha1": on_text(_digest("sha1")),
    "sha256": on_text(_digest("sha256")),
    "sha512": on_text(_digest("sha512")),
    "textdecodebase64": on_text(_decoded, STRING),
    "textencodebase64": on_text(_encoded, STRING),
    "urlencode": on_text(lambda text: urllib.parse.quote_plus(text, safe="~")),
    "uuidv4": never_known(filled=True),
    "uuidv5": on_text(_uuid5, STRING),
    "vault": never_known(STRING, STRING),
    "yamldecode": on_text(_yaml_value, returns=ANY),
    "yamlencode": Function(call=_yaml_of, takes=(ANY,), returns=STRING, nulls=True),
}
