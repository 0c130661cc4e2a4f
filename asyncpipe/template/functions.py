"""The functions of Packer's HCL that are pure; the rest (time, secrets, network) stay unknown.

Semantics follow https://developer.hashicorp.com/packer/docs/templates/hcl_templates/functions.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

from asyncpipe.model.template import Value

_VERB = re.compile(
    r"%(%|(?P<flags>[-+ 0#]*)(?P<width>\d{0,3})(?:\.(?P<precision>\d{1,2}))?(?P<verb>[a-zA-Z]))"
)
_LONG_PATTERN: Final = 200
_SUBJECT_CHARS: Final = 2000
_RUNAWAY = re.compile(r"[*+}]\)?[*+{]|\([^)]*[*+|][^)]*\)[*+{]")  # a repeated repetition
_MAX_RANGE: Final = 10_000
_MAX_LEVELS: Final = 30


class Failed(Exception):  # noqa: N818 -- a signal inside the evaluation that try() catches
    """The expression is wrong for these values: Packer would report an error."""


def as_text(value: Value) -> str:
    """Return what interpolation makes of a value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise Failed


def _format(template: str, *arguments: Value) -> str:
    remaining = iter(arguments)

    def render(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        try:
            return _verb(match, next(remaining))
        except StopIteration:
            raise Failed from None

    return _VERB.sub(render, template)


def _verb(match: re.Match[str], value: Value) -> str:
    verb, spec = match["verb"], f"%{match['flags']}{match['width']}"
    precision = f".{match['precision']}" if match["precision"] is not None else ""
    if verb in "sv":
        text = value if isinstance(value, str) else _json(value)
        return f"{spec}{precision}s" % text
    if verb == "q":
        return json.dumps(as_text(value))
    if verb in "dxXob":
        number = int(_number(value))
        return f"{spec}d" % number if verb == "d" else format(number, verb)
    if verb in "feEgG":
        return f"{spec}{precision}{verb}" % float(_number(value))
    if verb == "t" and isinstance(value, bool):
        return as_text(value)
    raise Failed


def _number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Failed
    if isinstance(value, str):
        value = float(value)
        return int(value) if value == int(value) else value
    return value


def _join(separator: str, *lists: list[Value]) -> str:
    return separator.join(as_text(item) for items in lists for item in items)


def _replace(text: str, old: str, new: str) -> str:
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        return _regex_replace(text, old[1:-1], new)
    return text.replace(old, new)


def _regex_replace(text: str, pattern: str, new: str) -> str:
    template = re.sub(r"\$(?:\{(\w+)\}|(\d+))", r"\\g<\1\2>", new.replace("\\", "\\\\"))
    return _compiled(pattern, text).sub(template, text)


def _compiled(pattern: str, text: str) -> re.Pattern[str]:
    if len(pattern) > _LONG_PATTERN or len(text) > _SUBJECT_CHARS or _RUNAWAY.search(pattern):
        raise Failed
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise Failed from None


def _regex(pattern: str, text: str) -> Value:
    match = _compiled(pattern, text).search(text)
    if match is None:
        raise Failed
    return _captures(match)


def _captures(match: re.Match[str]) -> Value:
    if match.groupdict():
        return dict(match.groupdict())
    return list(match.groups()) if match.groups() else match[0]


def _regexall(pattern: str, text: str) -> Value:
    return [_captures(match) for match in _compiled(pattern, text).finditer(text)]


def _element(items: list[Value], index: int) -> Value:
    return items[index % len(items)]


def _coalesce(*values: Value) -> Value:
    for value in values:
        if value is not None and value != "":
            return value
    raise Failed


def _coalescelist(*lists: list[Value]) -> Value:
    return next(items for items in lists if items)


def _lookup(mapping: dict[str, Value], key: str, *default: Value) -> Value:
    if key in mapping:
        return mapping[key]
    if not default:
        raise Failed
    return default[0]


def _merge(*mappings: dict[str, Value] | None) -> Value:
    result: dict[str, Value] = {}
    for mapping in mappings:
        result.update(mapping or {})
    return result


def _flatten(items: list[Value], levels: int = 0) -> list[Value]:
    if levels > _MAX_LEVELS:
        raise Failed
    flat: list[Value] = []
    for item in items:
        flat.extend(_flatten(item, levels + 1) if isinstance(item, list) else [item])
        if len(flat) > _MAX_RANGE:
            raise Failed
    return flat


def _distinct(items: list[Value]) -> list[Value]:
    seen: dict[str, Value] = {}
    for item in items:
        seen.setdefault(_json(item), item)
    return list(seen.values())


def _contains(items: list[Value], value: Value) -> bool:
    return any(type(item) is type(value) and item == value for item in items)


def _setproduct(*lists: list[Value]) -> Value:
    if math.prod(map(len, lists)) > _MAX_RANGE:
        raise Failed
    return [list(pair) for pair in itertools.product(*lists)]


def _range(*bounds: int) -> Value:
    numbers = range(*(int(bound) for bound in bounds))
    if len(numbers) > _MAX_RANGE:
        raise Failed
    return list(numbers)


def _substr(text: str, offset: int, length: int) -> str:
    text = text[int(offset) :]
    return text if length < 0 else text[: int(length)]


def _keys(mapping: dict[str, Value]) -> Value:
    return [*sorted(mapping)]


def _values(mapping: dict[str, Value]) -> Value:
    return [mapping[key] for key in sorted(mapping)]


def _json(value: Value) -> str:
    size = 0
    chunks = []
    for chunk in json.JSONEncoder(separators=(",", ":"), default=_unjsonable).iterencode(value):
        size += len(chunk)
        if size > 200_000:
            raise Failed
        chunks.append(chunk)
    return "".join(chunks)


def _unjsonable(_: object) -> None:
    raise Failed


def _jsondecode(text: str) -> Value:
    value: Value = json.loads(text)
    return value


def _tobool(value: Value) -> Value:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[as_text(value)]


def _title(text: str) -> str:
    return re.sub(r"(?<![\w'])[a-z]", lambda match: match[0].upper(), text)


def _basename(path: str) -> str:
    stripped = path.rstrip("/")
    return stripped.rsplit("/", 1)[-1] or ("/" if path else ".")


def _dirname(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return head or ("/" if slash else ".")


def _int(function: Callable[[float], int]) -> Callable[[Value], Value]:
    return lambda value: function(_number(value))


def _digest(name: str) -> Callable[[str], Value]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _list_of(value: Any) -> Value:
    return sorted(value, key=_json) if isinstance(value, set) else list(value)


def _formatlist(template: str, *arguments: Value) -> Value:
    lengths = {len(argument) for argument in arguments if isinstance(argument, list)}
    if len(lengths) != 1:
        raise Failed
    return [
        _format(template, *(arg[i] if isinstance(arg, list) else arg for arg in arguments))
        for i in range(lengths.pop())
    ]


def _index(items: list[Value], value: Value) -> Value:
    return next(i for i, item in enumerate(items) if item == value)


FUNCTIONS: Final[dict[str, Callable[..., Value]]] = {
    "abs": lambda value: abs(_number(value)),
    "alltrue": lambda items: all(item in {True, "true"} for item in items),
    "anytrue": lambda items: any(item in {True, "true"} for item in items),
    "base64decode": lambda text: base64.b64decode(text).decode(),
    "base64encode": lambda text: base64.b64encode(text.encode()).decode(),
    "basename": _basename,
    "ceil": _int(math.ceil),
    "chomp": lambda text: text.rstrip("\r\n"),
    "chunklist": lambda items, size: [
        items[i : i + int(size)] for i in range(0, len(items), int(size))
    ],
    "coalesce": _coalesce,
    "coalescelist": _coalescelist,
    "compact": lambda items: [item for item in items if item not in {"", None}],
    "concat": lambda *lists: [item for items in lists for item in items],
    "contains": _contains,
    "convert": lambda value, _type: value,
    "dirname": _dirname,
    "distinct": _distinct,
    "element": _element,
    "endswith": lambda text, suffix: text.endswith(suffix),
    "flatten": _flatten,
    "floor": _int(math.floor),
    "format": _format,
    "formatlist": _formatlist,
    "index": _index,
    "join": _join,
    "jsondecode": _jsondecode,
    "jsonencode": _json,
    "keys": _keys,
    "length": len,
    "lookup": _lookup,
    "lower": str.lower,
    "max": lambda *values: max(map(_number, values)),
    "md5": _digest("md5"),
    "merge": _merge,
    "min": lambda *values: min(map(_number, values)),
    "one": lambda items: items[0] if items else None,
    "parseint": lambda text, base: int(as_text(text), int(base)),
    "pow": lambda base, power: _number(base) ** min(_number(power), 1000),
    "range": _range,
    "regex": _regex,
    "regex_replace": _regex_replace,
    "regexall": _regexall,
    "replace": _replace,
    "reverse": lambda items: items[::-1],
    "sensitive": lambda value: value,
    "setproduct": _setproduct,
    "sha1": _digest("sha1"),
    "sha256": _digest("sha256"),
    "sha512": _digest("sha512"),
    "signum": lambda value: (_number(value) > 0) - (_number(value) < 0),
    "slice": lambda items, start, end: items[int(start) : int(end)],
    "sort": lambda items: [*sorted(map(as_text, items))],
    "split": lambda separator, text: text.split(separator) if separator else list(text),
    "startswith": lambda text, prefix: text.startswith(prefix),
    "strcontains": lambda text, part: part in text,
    "strrev": lambda text: text[::-1],
    "substr": _substr,
    "sum": lambda items: sum(map(_number, items)),
    "title": _title,
    "tobool": _tobool,
    "tolist": _list_of,
    "tomap": dict,
    "tonumber": lambda value: None if value is None else _number(value),
    "toset": _distinct,
    "tostring": lambda value: None if value is None else as_text(value),
    "trim": lambda text, chars: text.strip(chars),
    "trimprefix": lambda text, prefix: text.removeprefix(prefix),
    "trimspace": lambda text: text.strip(),
    "trimsuffix": lambda text, suffix: text.removesuffix(suffix),
    "unsensitive": lambda value: value,
    "upper": lambda text: text.upper(),
    "urlencode": urllib.parse.quote_plus,
    "values": _values,
    "zipmap": lambda keys, values: dict(zip(map(as_text, keys), values, strict=False)),
}
