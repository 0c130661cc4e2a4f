"""``check --iso``: a template's installation media, as results of a check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from asyncpipe.errors import TemplateError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.preflight.iso import EXIT_CODES, Checker, IsoResult, IsoState, media_of
from asyncpipe.text.safe import printable, without_userinfo

_HEX_DIGITS: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_UPDATE: Final = "asyncpipe iso-check --update writes the new one into the template."
_HINTS: Final = {
    IsoState.NEWER: _UPDATE,
    IsoState.GONE: f"Media move when a point release comes. {_UPDATE}",
    IsoState.CHANGED: "Find out why before you change the template's sum.",
    IsoState.WRONGLY_SIGNED: "Do not build from that mirror.",
    IsoState.UNREACHABLE: "The build would fail here. Try again, or name another mirror.",
}


async def check_media(plan: BuildPlan, checker: Checker) -> list[CheckResult]:
    """Ask for every image of a template, and compare it with its vendor's list.

    Exit codes are those of ``iso-check``; 3 where the template states something that is no sum. A
    newer image is a warning: the one that the template names is still there.
    """
    found = [await checker.check(medium) for medium in media_of(plan.template)]
    return [*_no_sums(plan), *(_result(plan.unit, one) for one in found)]


def _result(unit: str, found: IsoResult) -> CheckResult:
    medium, state = found.medium, found.state
    name = printable(without_userinfo(medium.url), 300)
    message = printable(without_userinfo(found.message), 1000)
    if state not in EXIT_CODES:
        return CheckResult(
            name="iso", unit=unit, status=CheckStatus.OK, message=f"{name} {message}"
        )
    return CheckResult(
        name="iso",
        unit=unit,
        status=CheckStatus.WARN if state is IsoState.NEWER else CheckStatus.FAIL,
        message=f"{medium.location}: {name}: {state}: {message}.",
        hint=_HINTS[state],
        exit_code=EXIT_CODES[state],
        file=medium.location.file,
        line=medium.location.line,
    )


def _no_sums(plan: BuildPlan) -> Iterator[CheckResult]:
    """Malformed checksums of a template; Packer notices them only after the download."""
    for source in plan.template.sources:
        stated = source.attributes.get("iso_checksum")
        kind, _, rest = stated.strip().partition(":") if isinstance(stated, str) else ("", "", "")
        digits = _HEX_DIGITS.get(kind.lower()) if rest else len(kind)
        is_sum = digits in _HEX_DIGITS.values() and re.fullmatch(
            rf"[0-9a-fA-F]{{{digits}}}", rest or kind
        )
        if kind in {"", "none", "file"} or is_sum:
            continue
        where = source.locations.get("iso_checksum", source.location)
        yield CheckResult(
            name="iso",
            unit=plan.unit,
            status=CheckStatus.FAIL,
            message=f"{where}: iso_checksum is not a sum of {digits or 'known'} digits.",
            hint="sha256:HEX, file:URL of a list of sums, or none.",
            exit_code=TemplateError.exit_code,
            file=where.file,
            line=where.line,
        )
