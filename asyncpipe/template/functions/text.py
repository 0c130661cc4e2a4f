"""Functions of strings, regular expressions and ``format``."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Any, Final

import re2

from asyncpipe.template.functions.codecs import json_of
from asyncpipe.template.functions.spec import (
    INT,
    STRINGS,
    Function,
    items,
    on_text,
)
from asyncpipe.template.values import cty, number
from asyncpipe.template.values.convert import collection, convert
from asyncpipe.template.values.cty import ANY, BOOL, NUMBER, STRING, Failed, Type, Val
from asyncpipe.template.values.number import NotKnown

SPACES: Final = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_MAX_CHARS: Final = 1_000_000
_FORMAT = re.compile(
    r"[^%]+|%%|%(?P<flags>[-+ 0#]*)(?P<width>[1-9][0-9]*)?(?:(?P<dot>\.)(?P<places>[0-9]*))?"
    r"(?:\[(?P<which>[1-9][0-9]*)\])?(?P<verb>[a-zA-Z])"
)
_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<plain>\w+)|\{(?P<braced>\w+)\})")


def clusters(text: str) -> list[str]:
    """Split into what a reader sees as characters."""
    if text.isascii() and "\r" not in text:
        return list(text)
    import regex  # noqa: PLC0415 - 60 ms of every start otherwise

    found: list[str] = regex.findall(r"\X", text)
    return found


def _by_rune(text: str, *, upper: bool) -> str:
    changed = ((one, one.upper() if upper else one.lower()) for one in text)
    return "".join(after if len(after) == 1 else before for before, after in changed)


def _title(text: str) -> str:
    pieces, before = [], " "
    for one in text:
        starts = before.isspace() or (before.isascii() and not (before.isalnum() or before == "_"))
        titled = one.title()
        pieces.append(titled if starts and len(titled) == 1 else one)
        before = one
    return "".join(pieces)


def _substr(text: str, offset: int, length: int) -> str:
    found = clusters(text)
    if offset < 0:
        offset += len(found)
    elif length == 0:
        return ""
    found = found[max(offset, 0) :]
    return "".join(found if length <= 0 else found[:length])


def _replace(text: str, old: str, new: str) -> str:
    if text.count(old) * len(new) > _MAX_CHARS:
        raise NotKnown
    return text.replace(old, new)


def _indent(spaces: int, text: str) -> str:
    if spaces < 0:
        raise Failed("a negative indentation")
    return _replace(text, "\n", "\n" + " " * min(spaces, _MAX_CHARS))


def _join(separator: str, *lists: Val) -> str:
    if not lists:
        raise Failed("at least one list is required")
    found = [one.raw for each in lists for one in items(each)]
    if None in found:
        raise Failed("a null value in a list")
    return separator.join(found)


def _sort(strings: Val) -> list[str]:
    found = [one.raw for one in items(strings)]
    if None in found:
        raise Failed("a null value in a list")
    return sorted(found)


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Compile with RE2, which Packer's patterns are written for and which is linear.

    Raises:
        Failed: not a pattern.
        NotKnown: one that needs more memory than RE2 gives it here.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        if "too large" in str(error):
            raise NotKnown from None
        raise Failed("this is not a regular expression") from None


def _matches(pattern: str, text: str) -> list[Any]:
    """Every match as Go finds them: an empty one right behind another does not count."""
    expression, found, position, end = compiled(pattern), [], 0, -1
    while position <= len(text) and (match := expression.search(text, position)) is not None:
        if match.end() > position or match.start() != end:
            found.append(match)
        end = match.end()
        position = max(end, position + 1) if end == position else end
    return found


def _regex_replace(text: str, pattern: str, new: str) -> str:
    pieces, last, size = [], 0, 0
    for match in _matches(pattern, text):
        if match.end() == last and match.start() != 0 and match.start() == last:
            continue
        filled = _REFERENCE.sub(partial(_group, match), new)
        pieces += [text[last : match.start()], filled]
        last = match.end()
        size += len(filled)
        if size > _MAX_CHARS:
            raise NotKnown
    return "".join(pieces) + text[last:]


def _group(match: Any, reference: re.Match[str]) -> str:
    if reference["dollar"]:
        return "$"
    name = reference["plain"] or reference["braced"]
    if name.isdigit():
        return (match.group(int(name)) or "") if int(name) <= len(match.groups()) else ""
    return match.groupdict().get(name) or ""


def _captured(pattern: str) -> Type:
    """The type that a match of a pattern has."""
    expression = compiled(pattern)
    if len(expression.groupindex) not in {0, expression.groups}:
        raise Failed("named and unnamed groups in one pattern")
    if expression.groupindex:
        return Type("object", tuple((name, STRING) for name in sorted(expression.groupindex)))
    return Type("tuple", (STRING,) * expression.groups) if expression.groups else STRING


def _captures(match: Any) -> Val:
    def group(content: str | None) -> Val:
        return Val(STRING, None) if content is None else cty.text(content)

    if match.groupdict():
        return cty.object_of({name: group(one) for name, one in match.groupdict().items()})
    return cty.tuple_of(map(group, match.groups())) if match.groups() else group(match.group())


def _regex(pattern: str, text: str) -> Val:
    _captured(pattern)
    match = compiled(pattern).search(text)
    if match is None:
        raise Failed("the pattern does not match")
    return _captures(match)


def _regexall(pattern: str, text: str) -> Val:
    of = _captured(pattern)
    return collection("list", map(_captures, _matches(pattern, text)), of)


def _format(template: str, *arguments: Val) -> str:
    if any(one.raw is None and one.type == ANY for one in arguments):
        raise NotKnown  # cty takes an untyped null for a value that is still to come
    pieces: list[str] = []
    position = highest = following = 0
    while position < len(template):
        match = _FORMAT.match(template, position)
        if match is None:
            raise Failed("this is not a format")
        position = match.end()
        if match["verb"] is None:
            pieces.append("%" if match[0] == "%%" else match[0])
            continue
        following = int(match["which"]) if match["which"] else following + 1
        highest = max(highest, following)
        if following > len(arguments):
            raise Failed("an argument is missing")
        pieces.append(_verb(match, arguments[following - 1]))
    if highest < len(arguments):
        raise Failed("there are more arguments than verbs")
    return "".join(pieces)


def _verb(match: re.Match[str], value: Val) -> str:
    verb, flags = match["verb"], match["flags"]
    if int(match["width"] or 0) > _MAX_CHARS or int(match["places"] or 0) > 1000:
        raise NotKnown
    if verb == "v":
        return _padded(match, _as_is(value, sharp="#" in flags))
    if value.raw is None:
        raise Failed("null cannot be formatted")
    if verb == "t":
        return "true" if convert(value, BOOL).raw else "false"
    if verb in "sq":
        text: str = convert(value, STRING).raw
        text = "".join(clusters(text)[: int(match["places"] or 0) or None])
        return _padded(match, json_of(cty.text(text)) if verb == "q" else text)
    content = convert(value, NUMBER).raw
    sign = "-" if content < 0 else "+" if "+" in flags else " " if " " in flags else ""
    digits = _digits(match, abs(content))
    width = int(match["width"] or 0) - len(sign)
    if "-" in flags:
        return (sign + digits).ljust(width + len(sign))
    is_padded = "0" in flags and not (match["dot"] and verb in "bdoxX")
    return (
        sign + digits.rjust(width, "0") if is_padded else (sign + digits).rjust(width + len(sign))
    )


def _digits(match: re.Match[str], content: Any) -> str:
    verb, places = match["verb"], int(match["places"] or 0)
    if verb in "bdoxX":
        if content.denominator != 1:
            raise Failed("a whole number is required")
        prefix = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(verb, "")
        digits = (
            format(int(content), verb).rjust(places, "0")
            if content or places or not match["dot"]
            else ""
        )
        return (prefix if "#" in match["flags"] else "") + digits
    places = places if match["dot"] else 6
    if verb == "f":
        return number.fixed(content, places)
    if verb in "eE":
        return number.scientific(content, places).replace("e", verb)
    if verb in "gG":
        if match["dot"]:
            raise NotKnown
        return number.general(content).replace("e", "E" if verb == "G" else "e")
    raise Failed("there is no such verb")


def _as_is(value: Val, *, sharp: bool) -> str:
    if not sharp and value.raw is not None:
        if value.type == STRING:
            return str(value.raw)
        if value.type == NUMBER:
            return number.general(value.raw)
    return json_of(value)


def _padded(match: re.Match[str], text: str) -> str:
    missing = int(match["width"] or 0) - len(clusters(text))
    pad = ("0" if "0" in match["flags"] else " ") * missing
    return text + pad if "-" in match["flags"] else pad + text


def _formatlist(template: str, *arguments: Val) -> Val:
    lists = [one for one in arguments if one.type.kind in cty.SEQUENCES and one.raw is not None]
    lengths = {len(one.raw) for one in lists}
    if len(lengths) > 1:
        raise Failed("the lists have different lengths")
    rows = range(lengths.pop() if lengths else 1)
    spread = [[v for _, v in one.elements()] if one in lists else None for one in arguments]
    found = (
        _format(
            template,
            *(
                column[i] if column is not None else one
                for column, one in zip(spread, arguments, strict=True)
            ),
        )
        for i in rows
    )
    return collection("list", map(cty.text, found), STRING)


FUNCTIONS: Final = {
    "chomp": on_text(lambda text: re.sub(r"(?:\r\n?|\n)*\Z", "", text)),
    "endswith": on_text(str.endswith, STRING, returns=BOOL),
    "format": Function(call=_format, takes=(STRING,), rest=ANY, returns=STRING, nulls=True),
    "formatlist": Function(
        call=_formatlist, takes=(STRING,), rest=ANY, returns=STRINGS, nulls=True
    ),
    "indent": Function(call=_indent, takes=(INT, STRING), returns=STRING),
    "join": Function(call=_join, takes=(STRING,), rest=STRINGS, returns=STRING),
    "lower": on_text(lambda text: _by_rune(text, upper=False)),
    "regex": on_text(_regex, STRING, returns=ANY),
    "regex_replace": on_text(_regex_replace, STRING, STRING),
    "regexall": on_text(_regexall, STRING, returns=ANY),
    "replace": on_text(_replace, STRING, STRING),
    "sort": Function(call=_sort, takes=(STRINGS,), returns=STRINGS),
    "split": on_text(
        lambda by, text: text.split(by) if by else list(text), STRING, returns=STRINGS
    ),
    "startswith": on_text(str.startswith, STRING, returns=BOOL),
    "strcontains": on_text(str.__contains__, STRING, returns=BOOL),
    "strrev": on_text(lambda text: "".join(reversed(clusters(text)))),
    "substr": on_text(_substr, INT, INT),
    "title": on_text(_title),
    "trim": on_text(str.strip, STRING),
    "trimprefix": on_text(str.removeprefix, STRING),
    "trimspace": on_text(lambda text: text.strip(SPACES)),
    "trimsuffix": on_text(str.removesuffix, STRING),
    "upper": on_text(lambda text: _by_rune(text, upper=True)),
}
