"""Functions of dates that are given; what the clock says is never known here."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Final

from asyncpipe.template.functions.spec import INT, Function, never_known, on_text
from asyncpipe.template.values import cty
from asyncpipe.template.values.cty import ANY, STRING, Failed, Val
from asyncpipe.template.values.number import NotKnown

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)([T ])(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_PART = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+|'")
_DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip


def _parsed(text: str, *, space: bool = False) -> datetime:
    match = _RFC3339.fullmatch(text)
    if match is None or (match[4] == " " and not space):
        raise Failed("this is not an RFC 3339 timestamp")
    offset = timedelta(hours=int(match[10] or 0), minutes=int(match[11] or 0))
    if int(match[10] or 0) > 23 or int(match[11] or 0) > 59:
        raise Failed("this is not an RFC 3339 timestamp")
    zone = UTC if not offset else timezone(-offset if match[9] == "-" else offset)
    try:
        return datetime(*(int(match[i]) for i in (1, 2, 3, 5, 6, 7)), tzinfo=zone)  # type: ignore[misc,arg-type]
    except ValueError:
        if match[1] == "0000":
            raise NotKnown from None
        raise Failed("this is not an RFC 3339 timestamp") from None


def _zone(moment: datetime, colon: str) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{colon}{rest:02d}"


def _z(moment: datetime) -> str:
    return _zone(moment, ":") if moment.utcoffset() else "Z"


def _verbs(at: datetime) -> dict[str, str]:
    """Every verb of ``formatdate`` and its meaning."""
    month, day = calendar.month_name[at.month], calendar.day_name[at.weekday()]
    half, hour = ("am", "pm")[at.hour // 12], at.hour % 12 or 12
    numbers = {"M": at.month, "D": at.day, "h": at.hour, "H": hour, "m": at.minute, "s": at.second}
    zone = _zone(at, "")
    return {
        "YY": f"{at.year % 100:02d}", "YYYY": f"{at.year:04d}", "MMM": month[:3], "MMMM": month,
        "EEE": day[:3], "EEEE": day, "AA": half.upper(), "aa": half,
        "Z": _z(at), "ZZZ": "UTC" if zone == "+0000" else zone, "ZZZZ": zone,
        "ZZZZZ": _zone(at, ":"),
        **{verb: str(value) for verb, value in numbers.items()},
        **{verb * 2: f"{value:02d}" for verb, value in numbers.items()},
    }  # fmt: skip


def _formatdate(template: str, timestamp: str) -> str:
    verbs = _verbs(_parsed(timestamp))
    pieces = []
    for match in _PART.finditer(template):
        word = match[0]
        if word == "'":
            raise Failed("a quote is not closed")
        if word[0] == "'":
            pieces.append("'" if word == "''" else word[1:-1].replace("''", "'"))
        elif match[1] and word not in verbs:
            raise Failed(f"there is no verb {word}")
        else:
            pieces.append(verbs[word] if match[1] else word)
    return "".join(pieces)


def _timeadd(timestamp: str, duration: str) -> str:
    moment = _parsed(timestamp)
    text = duration[1:] if duration[:1] in {"-", "+"} else duration
    parts = list(_DURATION.finditer(text))
    if text != "0" and (not parts or "".join(part[0] for part in parts) != text):
        raise Failed("this is not a duration")
    nanoseconds = sum(Fraction(part[1]) * _UNITS[part[2]] for part in parts)
    signed = -nanoseconds if duration.startswith("-") else nanoseconds
    try:
        moment += timedelta(seconds=int(signed // 10**9))
    except OverflowError:
        raise NotKnown from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + _z(moment)


def _fields(moment: datetime) -> dict[str, Val]:
    year, week, _ = moment.isocalendar()
    numbers = {
        "year": moment.year, "year_day": moment.timetuple().tm_yday, "day": moment.day,
        "month": moment.month, "weekday": moment.isoweekday() % 7, "hour": moment.hour,
        "minute": moment.minute, "second": moment.second, "iso_year": year, "iso_week": week,
    }  # fmt: skip
    names = {
        "month_name": calendar.month_name[moment.month],
        "weekday_name": calendar.day_name[moment.weekday()],
    }
    return {n: cty.integer(v) for n, v in numbers.items()} | {
        n: cty.text(v) for n, v in names.items()
    }


def _rfc3339_parse(text: str) -> Val:
    moment = _parsed(text, space=True)
    return cty.object_of(_fields(moment) | {"unix": cty.integer(int(moment.timestamp()))})


def _unix_parse(seconds: int) -> Val:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise NotKnown from None
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return cty.object_of(_fields(moment) | {"rfc3339": cty.text(text)})


FUNCTIONS: Final = {
    "formatdate": on_text(_formatdate, STRING),
    "legacy_isotime": never_known(rest=STRING),
    "legacy_strftime": never_known(rest=STRING),
    "rfc3339_parse": on_text(_rfc3339_parse, returns=ANY),
    "timeadd": on_text(_timeadd, STRING),
    "timestamp": never_known(filled=True),
    "unix_timestamp_parse": Function(call=_unix_parse, takes=(INT,)),
}
