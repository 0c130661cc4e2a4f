"""Installation media: is the image where the template says, and is its checksum the vendor's?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from asyncpipe.errors import PackerFailedError, TemplateError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus, UrlRead, UrlSeen
from asyncpipe.model.template import Location, TemplateSource, Value
from asyncpipe.text.format import size_text
from asyncpipe.text.safe import printable, without_userinfo

_MAX_SUMS_BYTES: Final = 4 * 1024 * 1024
_HEX_DIGITS: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
# What vendors call the file of sums beside an image; {} is the image's own name.
_BESIDE: Final = {
    "sha256": ("SHA256SUMS", "{}.CHECKSUM", "CHECKSUM", "sha256sum.txt"),
    "sha512": ("SHA512SUMS",),
}
_GNU: Final = re.compile(r"(?P<hex>[0-9a-fA-F]{32,128})[ \t]+\*?(?P<name>\S.*)")
_BSD: Final = re.compile(r"\w+ ?\((?P<name>.+)\) ?= ?(?P<hex>[0-9a-fA-F]{32,128})")
_MOVED: Final = "Media move when a point release comes: look for the new name and its checksum."


class Urls(Protocol):
    """Looks at URLs (``stores/http.py``); every failure is a value."""

    async def look(self, url: str, *, timeout_s: float = 15.0) -> UrlSeen:
        """Ask for ``url`` without fetching it."""
        ...

    async def read(self, url: str, *, max_bytes: int, timeout_s: float = 30.0) -> UrlRead:
        """Fetch a small document."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Medium:
    """One image that a source installs from."""

    unit: str
    url: str
    checksum: str  # as the template has it: "sha256:...", "file:https://...", "none", ""
    location: Location
    checksum_location: Location

    @property
    def shown(self) -> str:
        return printable(without_userinfo(self.url), 300)

    @property
    def name(self) -> str:
        return PurePosixPath(unquote(urlsplit(self.url).path)).name

    def result(self, message: str, *, exit_code: int = 0, hint: str = _MOVED) -> CheckResult:
        """One answer: fine with exit code 0, else a failure at the line that says it."""
        if not exit_code:
            return CheckResult(
                name="iso", unit=self.unit, status=CheckStatus.OK, message=f"{self.shown} {message}"
            )
        return CheckResult(
            name="iso",
            unit=self.unit,
            status=CheckStatus.FAIL,
            message=message,
            hint=hint,
            exit_code=exit_code,
            file=self.location.file,
            line=self.location.line,
        )


async def check_media(plan: BuildPlan, urls: Urls) -> list[CheckResult]:
    """Ask for every image of a template, and compare its checksum with the vendor's list.

    What the server refuses (4xx), a file of sums that does not list the image and a sum that
    differs have exit code 3, since the template is to be changed; a server without an answer 20.
    """
    results: list[CheckResult] = []
    for medium in _media(plan):
        seen = await urls.look(medium.url)
        if not 200 <= seen.status < 300:
            place = f"{medium.location}: {medium.shown}"
            results.append(_unreachable(medium, place, seen.status, seen.problem))
            continue
        size = f", {size_text(seen.size_bytes)}" if seen.size_bytes else ""
        results.append(await _sum(medium, urls, f"is there{size}"))
    return results


def _unreachable(medium: _Medium, what: str, status: int, problem: str) -> CheckResult:
    refused = 400 <= status < 500
    return medium.result(
        f"{what}: {problem or f'HTTP {status}'}",
        exit_code=TemplateError.exit_code if refused else PackerFailedError.exit_code,
        hint=_MOVED if refused else "The build would fail here. Try again, or name another mirror.",
    )


async def _sum(medium: _Medium, urls: Urls, there: str) -> CheckResult:
    kind, _, rest = medium.checksum.strip().partition(":")
    if kind == "file":
        return await _listed(medium, urls, rest, there)
    wanted_hex = (rest or kind).lower()
    if wanted_hex in {"", "none"}:
        return medium.result(f"{there}; the template has no checksum")
    digits = _HEX_DIGITS.get(kind.lower()) if rest else len(wanted_hex)
    if digits not in _HEX_DIGITS.values() or not re.fullmatch(rf"[0-9a-f]{{{digits}}}", wanted_hex):
        text = (
            f"{medium.checksum_location}: iso_checksum is not a sum of {digits or 'known'} digits"
        )
        return medium.result(f"{text}.", exit_code=TemplateError.exit_code)
    return await _beside(medium, urls, wanted_hex, there)


async def _listed(medium: _Medium, urls: Urls, sums_url: str, there: str) -> CheckResult:
    """The template names the file of sums: the image has to be in it."""
    if not sums_url.startswith(("http://", "https://")):
        return medium.result(there)  # a local file, which Packer reads itself
    shown = printable(without_userinfo(sums_url), 300)
    read = await urls.read(sums_url, max_bytes=_MAX_SUMS_BYTES)
    if not 200 <= read.status < 300 or read.problem:
        place = f"{medium.checksum_location}: the sums {shown}"
        return _unreachable(medium, place, read.status, read.problem)
    if not sums_of(read.body, medium.name):
        text = f"{medium.checksum_location}: {shown} does not list {printable(medium.name, 200)}."
        return medium.result(text, exit_code=TemplateError.exit_code)
    return medium.result(f"{there}, and its sum is listed")


async def _beside(medium: _Medium, urls: Urls, wanted_hex: str, there: str) -> CheckResult:
    """The template has the sum itself: compare it with what the vendor lists beside the image."""
    kind = next(name for name, digits in _HEX_DIGITS.items() if digits == len(wanted_hex))
    for pattern in _BESIDE.get(kind, ()):
        sums_url = urljoin(medium.url, pattern.format(medium.name))
        read = await urls.read(sums_url, max_bytes=_MAX_SUMS_BYTES)
        sums = sums_of(read.body, medium.name) if 200 <= read.status < 300 else frozenset()
        known = {one for one in sums if len(one) == len(wanted_hex)}
        if wanted_hex in known:
            return medium.result(f"{there}, and its sum is the vendor's")
        if known:
            text = f"{medium.checksum_location}: {printable(sums_url, 300)} lists another sum."
            return medium.result(text, exit_code=TemplateError.exit_code)
    return medium.result(f"{there}; no list of sums beside it to compare with")


def sums_of(body: bytes, name: str) -> frozenset[str]:
    """The sums, in lower-case hex, that a list in GNU's or BSD's form has for a file ``name``."""
    lines = body.decode("utf-8", "replace").splitlines()
    found = (_GNU.fullmatch(line.strip()) or _BSD.fullmatch(line.strip()) for line in lines)
    return frozenset(
        one["hex"].lower() for one in found if one and PurePosixPath(one["name"]).name == name
    )


def _media(plan: BuildPlan) -> Iterator[_Medium]:
    known: set[str] = set()
    for source in plan.template.sources:
        for name in ("iso_url", "iso_urls"):
            for url in _texts(source.attributes.get(name))[:1]:
                if "://" in url and url not in known:
                    known.add(url)
                    yield _medium(plan, source, name, url)


def _medium(plan: BuildPlan, source: TemplateSource, name: str, url: str) -> _Medium:
    checksum = source.attributes.get("iso_checksum")
    return _Medium(
        unit=plan.unit,
        url=url,
        checksum=checksum if isinstance(checksum, str) else "",
        location=source.locations.get(name, source.location),
        checksum_location=source.locations.get("iso_checksum", source.location),
    )


def _texts(value: Value) -> Sequence[str]:
    several = value if isinstance(value, list) else [value]
    return [one for one in several if isinstance(one, str) and one]
