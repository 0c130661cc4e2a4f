"""Every setting of a run, resolved once: option, then ``ASYNCPIPE_*``, then default.

``Settings.from_environ`` gets the environment as a mapping; afterwards nobody reads it again.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from asyncpipe.errors import UsageError
from asyncpipe.model.store import (
    Addressing,
    LockMode,
    ServerSideEncryption,
    StoreOptions,
    StoreProfile,
)
from asyncpipe.model.transfer import TransferOptions

Choice = TypeVar("Choice", bound=StrEnum)

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+~-]*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}

# In a step that the runner cancels, SIGTERM follows after 7.5 s and SIGKILL 2.5 s later
# (actions/runner, ProcessInvoker): the grace has to fit, with time left to seal the log.
_GRACE_ON_GITHUB_S = 4.0
_HOST_TIMEOUT_S = 120.0
_GRACE_S = 120.0


def parse_size(text: str) -> int:
    """``"16MiB"`` -> 16777216 bytes; plain numbers are bytes, K/M/G/T count in 1024 unless "kB".

    Raises:
        UsageError: not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size.", hint="Write for example 16MiB or 4GiB.")
    number, unit, suffix = match.groups()
    base = 1000 if unit and suffix.lower() == "b" else 1024
    factor: int = base ** _POWER[unit.lower()]
    return round(float(number) * factor)


def parse_duration(text: str) -> float:
    """``"1h30m"`` -> 5400.0 seconds; a plain number is seconds.

    Raises:
        UsageError: not a duration.
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise UsageError(f"{text!r} is not a duration.", hint="Write for example 90s, 45m or 2h.")
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)


def parse_switch(text: str) -> bool:
    """``"yes"`` -> True; raises UsageError for anything that is neither yes nor no."""
    value = text.strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"", "0", "false", "no", "off"}:
        return False
    raise UsageError(f"{text!r} is neither yes nor no.")


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text, comments=False))
    except ValueError as error:
        raise UsageError(f"{text!r} cannot be split into words: {error}.") from None


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise UsageError(f"{text!r} is not a number of at least 1.")
    return int(text)


def _count(text: str) -> int:
    if not text.strip().isdecimal():
        raise UsageError(f"{text!r} is not a number.")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was asked to do."""

    templates: tuple[str, ...] = ()
    destination: str = "published"
    work_directory: Path = Path(".asyncpipe")
    packer: str | None = None
    var_files: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)  # -var: visible in argv, no secrets
    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    packer_environment: tuple[str, ...] = ()  # names (globs) passed to Packer though withheld
    os: str | None = None
    os_version: str | None = None
    strict_identity: bool = False
    grace_s: float = _GRACE_S
    build_timeout_s: float | None = None
    host_timeout_s: float = _HOST_TIMEOUT_S  # for the host's first answer
    jobs: int = 1
    fail_fast: bool = False
    retries: int = 0
    only_units: tuple[str, ...] = ()
    eager: bool | None = None  # None: on for S3, off for a local folder
    keep_xva: bool = False
    dry_run: bool = False
    resume: str | None = None  # a run's folder
    report: Path | None = None
    webhook_url: str | None = field(default=None, repr=False)
    log_format: str = "text"  # or "json"
    verbosity: int = 0  # -1 quiet .. 1 verbose
    transfer: TransferOptions = field(default_factory=TransferOptions)
    store: StoreOptions = field(default_factory=StoreOptions)
    on_github: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environ(
        cls, environment: Mapping[str, str], options: Mapping[str, Any] | None = None
    ) -> Settings:
        """Resolve every setting.

        ``options`` holds what the command line gave, by field name, already typed; None and
        empty tuples mean "not given".

        Raises:
            UsageError: a value that cannot be read, with the name of its variable.
        """
        given = {
            name: value
            for name, value in (options or {}).items()
            if value is not None and value != ()
        }
        for pairs in ("variables", "s3_tags"):
            if pairs in given:
                given[pairs] = dict(given[pairs])
        read = _Reader(environment, given)
        on_github = environment.get("GITHUB_ACTIONS") == "true"
        return cls(
            templates=read("templates", _words, ()),
            destination=read("destination", str, "published"),
            work_directory=read("work_directory", Path, Path(".asyncpipe")),
            packer=given.get("packer") or environment.get("PACKER") or None,
            var_files=read("var_files", lambda text: tuple(map(Path, _words(text))), ()),
            variables=read("variables", lambda text: dict(map(parse_variable, _lines(text))), {}),
            only=read("only", _words, ()),
            except_=read("except_", _words, (), name="EXCEPT"),
            packer_environment=read("packer_environment", _words, ()),
            os=read("os", str, None),
            os_version=read("os_version", _version, None),
            strict_identity=read("strict_identity", parse_switch, default=False),
            grace_s=read("grace_s", parse_duration, _GRACE_ON_GITHUB_S if on_github else _GRACE_S),
            build_timeout_s=read("build_timeout_s", parse_duration, None),
            host_timeout_s=read("host_timeout_s", parse_duration, _HOST_TIMEOUT_S),
            jobs=read("jobs", _positive, 1),
            fail_fast=read("fail_fast", parse_switch, default=False),
            retries=read("retries", _count, 0),
            only_units=read("only_units", _words, ()),
            eager=read("eager", parse_switch, None),
            keep_xva=read("keep_xva", parse_switch, default=False),
            dry_run=bool(given.get("dry_run", False)),
            resume=read("resume", str, None),
            report=read("report", Path, None),
            webhook_url=read("webhook_url", str, None),
            log_format=read("log_format", _log_format, "text"),
            verbosity=int(given.get("verbose", 0)) - int(given.get("quiet", 0)),
            transfer=_transfer(read),
            store=_store(read),
            on_github=on_github,
            environment=environment,
        )


def parse_variable(assignment: str) -> tuple[str, str]:
    """``"name=value"`` -> (name, value).

    Raises:
        UsageError: no ``=``.
    """
    name, equals, value = assignment.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{name!r} has no value.", hint="Write name=value.")
    return name.strip(), value


class _Reader:
    """Reads one setting: the option, then ASYNCPIPE_<NAME>, then the default."""

    def __init__(self, environment: Mapping[str, str], given: Mapping[str, Any]) -> None:
        self._environment = environment
        self._given = given

    def __call__(
        self, field_name: str, parse: Callable[[str], Any], default: Any = None, *, name: str = ""
    ) -> Any:
        bare = re.sub(r"_(s|bytes|bytes_per_s)$", "", field_name)
        if field_name in self._given:
            value = self._given[field_name]
            if not isinstance(value, str) or parse is str:
                return value
            return _told_whose(parse, value, "--" + bare.replace("_", "-"))
        variable = "ASYNCPIPE_" + (name or bare).upper()
        text = self._environment.get(variable, "")
        return _told_whose(parse, text, variable) if text.strip() else default


def _told_whose(parse: Callable[[str], Any], text: str, name: str) -> Any:
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", hint=error.hint) from None


def _moment(text: str) -> str:
    """A moment with its time zone, as S3 wants it."""
    try:
        known = datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise UsageError(
            f"{text[:80]!r} is not a moment in UTC.", hint="Write for example 2027-12-31T00:00:00Z."
        )
    return text.strip()


def _version(text: str) -> str:
    """A system's version: what is none would be dropped without a word."""
    if text.strip() and not _VERSION.fullmatch(text.strip()):
        raise UsageError(f"{text[:80]!r} is not a version.", hint="Write for example 12 or 24.04.")
    return text.strip()


def _log_format(text: str) -> str:
    if text.strip().lower() not in {"text", "json"}:
        raise UsageError(f"{text!r} is neither text nor json.")
    return text.strip().lower()


def _one_of(kind: type[Choice]) -> Callable[[str], Choice]:
    """A parser of one of an enumeration's values, upper and lower case alike."""
    by_name = {str(value).lower(): value for value in kind}

    def parse(text: str) -> Choice:
        if text.strip().lower() not in by_name:
            raise UsageError(f"{text!r} is none of {', '.join(map(str, kind))}.")
        return by_name[text.strip().lower()]

    return parse


def _transfer(read: _Reader) -> TransferOptions:
    defaults = TransferOptions()
    return TransferOptions(
        max_memory_bytes=read("max_memory_bytes", parse_size, defaults.max_memory_bytes),
        part_size_bytes=read("part_size_bytes", parse_size, None),
        concurrency=read("concurrency", _positive, None),
        bandwidth_bytes_per_s=read("bandwidth_bytes_per_s", parse_size, None),
    )


def _store(read: _Reader) -> StoreOptions:
    defaults = StoreOptions()
    lock_mode = read("object_lock", _one_of(LockMode), None)
    lock_until_utc = read("object_lock_until", _moment, None)
    if (lock_mode is None) != (lock_until_utc is None):
        raise UsageError(
            "Nothing would be locked: --object-lock and --object-lock-until go together.",
            hint="Give both (or ASYNCPIPE_OBJECT_LOCK, ASYNCPIPE_OBJECT_LOCK_UNTIL), or neither.",
        )
    return StoreOptions(
        profile=read("s3_profile", _one_of(StoreProfile), defaults.profile),
        endpoint_url=read("endpoint_url", str, None),
        ca_bundle=read("ca_bundle", Path, None),
        addressing=read("s3_addressing", _one_of(Addressing), defaults.addressing),
        sse=read("sse", _one_of(ServerSideEncryption), None),
        kms_key_id=read("kms_key_id", str, None),
        storage_class=read("storage_class", str, None),
        tags=read("s3_tags", lambda text: dict(map(parse_variable, _lines(text))), {}),
        lock_mode=lock_mode,
        lock_until_utc=lock_until_utc,
        max_parts=read("s3_max_parts", _positive, None),
        max_connections=max(32, read("concurrency", _positive, None) or 0),
    )
