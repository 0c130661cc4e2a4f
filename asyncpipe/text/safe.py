r"""Text from outside made fit to be stored and shown: bounded, and nothing in it acts.

``escaped`` keeps everything (build.log): what would act is written ``\xNN`` or ``\uNNNN``, long
runs counted. ``for_console`` drops it. ``clean`` makes one harmless line of anything,
``printable`` one that shows what it was. ``report.github`` adds what a runner or Markdown would
take for its own.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

from asyncpipe.text.sequences import (
    without_broken_off,
    without_eight_bits,
    without_seven_bits,
)

if TYPE_CHECKING:
    from asyncpipe.text.scan import Scanner
    from asyncpipe.text.substitution import Substitution

# ECMA-48, 7 and 8 bits: CSI sequences; OSC, DCS, SOS, PM and APC strings; two-character escapes.
# A string without its end is not a sequence: it hides nothing of what follows. It holds no control,
# so that each character is read twice at most, whatever introducers follow one another.
_STRING: Final = r"[^\x00-\x1f\x7f-\x9f]*+(?:\x07|\x1b\\|\x9c)"
_SEVEN_BITS: Final = re.compile(
    rf"(?:\x1b(?:\[[0-?]*+[ -/]*+[@-~]|[\]PX^_](?:{_STRING})?+|[ -/]*+[0-~]))++"
)
_BROKEN_OFF: Final = re.compile(r"(?:\x1b(?:\[[0-?]*+[ -/]*+|[ -/]*+))++(?=[\x80-\x9f])")
_EIGHT_BITS: Final = re.compile(rf"\x9b[0-?]*+[ -/]*+[@-~]|[\x90\x98\x9d-\x9f]{_STRING}")
_USERINFO = re.compile(
    r"(?P<scheme>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s@]*(?::[^/?#\s]*)?@"
)
# C0 without tab and newline, DEL, C1, what draws nothing, bidirectional marks, line separators.
_ACTIVE: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_CONTROLS: Final = bytes([*range(9), *range(0x0B, 0x20), 0x7F])
_DROPPED_LATIN: Final = _CONTROLS + bytes([*range(0x80, 0xA0), 0xAD])
# ESC, CSI, and what ends a string: they may hide what stands beside them; a return, what was before
_MORE_THAN_DROPPED: Final = (b"\x1b", b"\x9b", b"\x07", b"\x9c", b"\r")
_LONG_BYTES: Final = re.compile("[\udc80-\udcff]{64,}")  # that are no UTF-8
_NO_ASCII: Final = re.compile(r"[^ -~]")
_LONG_RUN: Final = re.compile(rf"([{_ACTIVE}])\1{{3,}}")
_DROPPED: Final = re.compile(rf"[{_ACTIVE}]++")
#: Of it, in UTF-8, what is no control in seven bits; Unicode's other format characters too.
INVISIBLE: Final = (
    rb"(?:\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf])|\xc2[\x80-\x9f\xad]"
    rb"|\xef(?:\xb8[\x80-\x8f]|\xbb\xbf|\xbe\xa0|\xbf[\xb9-\xbb])"
    rb"|\xcd\x8f|\xd8[\x80-\x85\x9c]|\xdb\x9d|\xdc\x8f"
    rb"|\xe1(?:\x85[\x9f\xa0]|\x9e[\xb4\xb5]|\xa0[\x8b-\x8f])|\xe3\x85\xa4"
    rb"|\xf0(?:\x9b\xb2[\xa0-\xa3]|\x9d\x85[\xb3-\xba])|\xf3\xa0[\x80-\x87][\x80-\xbf])"
)
_TAGS: Final = 0xE0000
_MANY_RETURNS: Final = 1024
_BYTES_PER_RETURN: Final = 16
_SHORT_CHARS: Final = 512  # below, no scanner is worth its call
# Drawn as nothing though they are letters or marks: comparisons that follow a culture skip them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")


def printable(text: str, limit: int = 2000) -> str:
    """Return ``text`` with every unprintable character escaped, at most ``limit`` characters.

    Newlines, ANSI escapes, bidirectional overrides and lone surrogates are escaped as Python
    writes them in a literal; an ellipsis shows where text was cut.
    """
    text = text[: limit + 1]  # bounded work too
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    return bounded(text, limit)


def bounded(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters; the cut is shown by an ellipsis."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def without_escapes(text: str) -> str:
    """Return ``text`` without the escape sequences of terminals; a lone control stays."""
    if text.isprintable():
        return text
    if not text.isascii():
        text = _EIGHT_BITS.sub("", _BROKEN_OFF.sub("", text))
    return _SEVEN_BITS.sub("", text) if "\x1b" in text else text


def without_userinfo(text: str) -> str:
    """Return ``text`` with ``user:password@`` of every URL in it removed."""
    return _USERINFO.sub(r"\g<scheme>", text) if "@" in text else text


def _escape(char: str) -> str:
    if 0xD800 <= ord(char) <= 0xDFFF:
        return f"\\u{ord(char):04x}"
    return char.encode("unicode_escape").decode("ascii")


def escaped(text: str) -> str:
    """Return ``text`` with everything that acts written out; tabs and newlines stay."""
    return text if is_plain(text) else _decoded(escaped_data(text))


def escaped_data(text: str) -> bytes:
    """Return in UTF-8 what ``escaped`` does; for text that is known not to be plain."""
    data = _encoded(text)
    kinds = _acting().kinds(data) if len(text) >= _SHORT_CHARS else None
    if kinds is None:
        return _encoded(_LONG_RUN.sub(_counted, text).translate(_written_out()))
    for before, after in kinds:
        if before * 4 in data:
            data = _runs_counted(data, before, after)
        data = data.replace(before, after)
    return data


def for_console(text: str, limit_chars: int, *, known_plain: bool | None = None) -> str:
    """Return lines as a person should see them, each at most ``limit_chars`` long.

    Escape sequences and control characters are dropped, a tab stays, and of a line that repaints
    itself by carriage returns the last text remains. ``known_plain``: whether nothing in it acts,
    where that is known.
    """
    if not (is_plain(text) if known_plain is None else known_plain):
        text = _shown_long(text) if len(text) >= _SHORT_CHARS else _shown_soon(text)
    if _has_longer_line(text, limit_chars):
        text = "\n".join([bounded(line, limit_chars) for line in text.split("\n")])
    return text


def _shown_long(text: str) -> str:
    """As ``_shown``; where no sequence can be, characters below U+0100 are dropped as bytes."""
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        return _decoded(_shown(_encoded(text)))
    if any(code in data for code in _MORE_THAN_DROPPED):
        return _decoded(_shown(_encoded(text)))
    return data.translate(None, _DROPPED_LATIN).decode("latin-1")


def _shown(data: bytes) -> bytes:
    """Return what a person should see of a long text: at the speed of bytes, whatever is in it."""
    if not data.isascii():
        data = without_eight_bits(without_broken_off(data))
    data = _last_painted(without_seven_bits(data))
    return data.translate(None, _CONTROLS) if data.isascii() else _nothing().applied(data)


def _shown_soon(text: str) -> str:
    text = without_escapes(text)
    if "\r" in text:
        text = _decoded(_last_painted(_encoded(text)))
    return _DROPPED.sub("", text)


def _last_painted(data: bytes) -> bytes:
    """Return of each line that repaints itself the last text.

    Where returns follow one another more closely than on any progress bar, they stay.
    """
    count = data.count(b"\r")
    if not count or (count > _MANY_RETURNS and count * _BYTES_PER_RETURN > len(data)):
        return data
    lines = data.split(b"\n")
    return b"\n".join(
        [line.rstrip(b"\r\0 \t").rpartition(b"\r")[2] if b"\r" in line else line for line in lines]
    )


def _has_longer_line(text: str, limit_chars: int) -> bool:
    start = 0
    while len(text) - start > limit_chars:
        newline = text.rfind("\n", start, start + limit_chars + 1)
        if newline < 0:
            return True
        start = newline + 1
    return False


def is_plain(text: str) -> bool:
    """Whether nothing in ``text`` acts; newlines and tabs may be there."""
    if len(text) < _SHORT_CHARS:
        return (text.isascii() and text.isprintable()) or _DROPPED.search(text) is None
    return not _acts().which(_encoded(text))


def is_printable_ascii(lines: str) -> bool:
    """Whether ``clean`` would leave each of these lines as it is, but for its length."""
    return lines.isascii() and lines.replace("\n", "").isprintable()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _runs_counted(data: bytes, before: bytes, after: bytes) -> bytes:
    """Write each run of more than three with its length, and leave the others."""
    spare = (bytes([code]) for code in _CONTROLS if code not in data)
    if len(before) > 1 and (one := next(spare, None)):  # a run of one byte is found sooner
        return _runs_counted(data.replace(before, one), one, after).replace(one, after)
    parts = re.split(rb"((?:%b){4,})" % re.escape(before), data)
    size = len(before)
    parts[1::2] = [b"%b{%d}" % (after, len(run) // size) for run in parts[1::2]]
    return b"".join(parts)


@cache
def _acts() -> Scanner:
    """Find what acts in a long text; it may find a little more than ``_DROPPED``."""
    from asyncpipe.text.scan import ONCE, Scanner  # noqa: PLC0415 - costs time at the start

    patterns = [rb"[\x00-\x08\x0b-\x1f\x7f]", INVISIBLE + rb"|\xf3\xa0"]
    return Scanner(patterns, [ONCE] * len(patterns))


@cache
def _acting() -> Substitution:
    return _substitution(_written_out())


@cache
def _nothing() -> Substitution:
    return _substitution({code: "" for code, text in _written_out().items() if text != chr(code)})


@cache
def _bytes() -> Substitution:
    return _substitution(_BYTES)


def _substitution(table: dict[int, str]) -> Substitution:
    from asyncpipe.text.substitution import Substitution  # noqa: PLC0415 - costs time at the start

    many = rb"\xf3\xa0[\x80-\xbf][\x80-\xbf]"  # 4,096 of them are not looked for one by one
    return Substitution(table, many, below=_TAGS)


def decodable(text: str) -> str:
    r"""Return ``text``, decoded with ``surrogateescape``, with ``\xNN`` for what is no UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        if len(text) < _SHORT_CHARS:
            return text.translate(_BYTES)
        text = _LONG_BYTES.sub(_in_hexadecimals, text)
        return text if text.isascii() else _decoded(_bytes().applied(_encoded(text)))
    return text


def _in_hexadecimals(run: re.Match[str]) -> str:
    digits = run[0].encode("utf-8", "surrogateescape").hex().encode()
    written = bytearray(b"\\x00" * len(run[0]))
    written[2::4], written[3::4] = digits[::2], digits[1::2]
    return written.decode()


def _counted(run: re.Match[str]) -> str:
    return f"{_written(ord(run[1]))}{{{len(run[0])}}}"


def _written(code: int) -> str:
    width = 2 if code < 0x100 else 4 if code < 0x10000 else 8
    return f"\\{'xuU'[width // 4]}{code:0{width}x}"


@cache
def _written_out() -> dict[int, str]:
    """Return how each character is written; ASCII is in it because a miss takes longer."""
    table = {code: chr(code) for code in range(128)}
    for first, last in re.findall(r"(.)(?:-(.))?", _ACTIVE, re.DOTALL):
        table |= {code: _written(code) for code in range(ord(first), ord(last or first) + 1)}
    return table


_BYTES: Final = {code: chr(code) for code in range(128)} | {
    0xDC00 + byte: f"\\x{byte:02x}" for byte in range(128, 256)
}


def clean(text: str, *, limit: int = 8192) -> str:
    """Return one harmless line: no escapes, no control or invisible characters, bounded.

    A tab becomes four blanks, every other line or paragraph break one blank.
    """
    text = text[: 4 * limit]  # bounded work too, with room for what will be taken out
    if not (text.isascii() and text.isprintable()):
        text = _NO_ASCII.sub(_visible, without_escapes(text))
    return bounded(text, limit)


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\t":
        return "    "
    if character in "\r\n\v\f\x85\u2028\u2029":
        return " "
    if character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f":
        return ""
    if "\U000e0100" <= character <= "\U000e01ef":  # variation selectors supplement
        return ""
    return "" if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"} else character


def place_text(destination: str) -> str:
    """``./published`` for a relative folder, so that it reads as a place; a URL as it is."""
    is_plain = "://" in destination or destination.startswith(("/", ".", "~"))
    return destination if is_plain else f"./{destination}"
