"""Find a Packer that fits the templates, and ask it about one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.errors import PackerMissingError, TemplateError, UsageError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.model.template import Template
from asyncpipe.packer.release import names
from asyncpipe.packer.release.constraint import satisfies
from asyncpipe.packer.version import packer_version
from asyncpipe.ports import Command, ProcessRunner
from asyncpipe.system.capture import capture
from asyncpipe.text.safe import printable, without_escapes

Which = Callable[..., str | None]  # shutil.which: (name, path=...) -> path of a program or None

_VALIDATE_S: Final = 120.0
_PLUGINS_SINCE: Final = ">= 1.7.0"  # packer init, required_plugins (Packer's changelog)
_MOST_DETAILS: Final = 200
_DETAIL_CHARS: Final = 500
_ERROR = re.compile(r"^\W*Error: *(.+)$", re.MULTILINE)
_PLACE = re.compile(r"^\s*on (\S.*?) line (\d+)", re.MULTILINE)
# A plugin listens at a socket named $TMPDIR/packer-plugin and up to ten digits (packer-plugin-sdk,
# plugin/server.go); Linux gives a socket's path 107 bytes (unix(7)).
_LONGEST_TMPDIR_BYTES: Final = 107 - len("/packer-plugin") - 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPacker:
    """A Packer that was asked for its version."""

    path: Path
    version: str


async def find_packer(
    explicit: str | None,
    environment: Mapping[str, str],
    which: Which,
    runner: ProcessRunner,
    templates: Sequence[Template] = (),
) -> FoundPacker:
    """Find the Packer that can build all ``templates``.

    ``explicit`` (--packer) or $PACKER decides alone. Else the one on PATH is taken if it fits, then
    the newest that ``asyncpipe packer install`` put into the user's cache and that fits.

    Raises:
        PackerMissingError: no Packer is installed, or none that fits.
        UsageError: Packer's plugins could not start in this environment.
    """
    refused: list[PackerMissingError] = []
    for path in _candidates(explicit, environment, which):
        try:
            found = FoundPacker(path=path, version=await packer_version(runner, path))
            _require_fit(found, templates, environment)
        except PackerMissingError as error:
            refused.append(error)
            continue
        _require_short_tmpdir(environment)
        return found
    if refused:
        raise refused[0]
    raise PackerMissingError("Packer was not found on PATH.", hint=_how_to_install(environment))


def _candidates(
    explicit: str | None, environment: Mapping[str, str], which: Which
) -> Iterator[Path]:
    named = explicit or environment.get("PACKER")
    found = which(named or "packer", path=environment.get("PATH"))
    if named and found is None:
        raise PackerMissingError(
            f"{printable(named, 300)} is not a program that can be run.",
            hint="It was named by --packer or PACKER; correct it, or leave it to PATH.",
        )
    if found is not None:
        yield Path(found).absolute()
    if not named:
        yield from names.installed(names.releases_folder(environment))


def constraints_of(template: Template) -> tuple[str, ...]:
    """What a template asks of Packer's version."""
    return template.required_versions + ((_PLUGINS_SINCE,) if template.required_plugins else ())


def _require_fit(
    found: FoundPacker, templates: Sequence[Template], environment: Mapping[str, str]
) -> None:
    for template in templates:
        unmet = [one for one in constraints_of(template) if not satisfies(found.version, one)]
        if unmet:
            raise PackerMissingError(
                f"{template.path} needs Packer {printable(unmet[0], 80)}; "
                f"{printable(str(found.path), 300)} is {found.version}.",
                hint=_how_to_install(environment),
            )


def _how_to_install(environment: Mapping[str, str]) -> str:
    program = shlex.quote(environment.get("ASYNCPIPE_PROGRAM") or "asyncpipe")
    return (
        f"Run: {program} packer install. It fetches HashiCorp's release and checks its signature. "
        "Or name another Packer with --packer PATH or PACKER=PATH."
    )


def _require_short_tmpdir(environment: Mapping[str, str]) -> None:
    folder = environment.get("TMPDIR", "")
    if len(folder.encode()) > _LONGEST_TMPDIR_BYTES:
        raise UsageError(
            f"TMPDIR is too long for Packer: {len(folder.encode())} bytes, "
            f"{_LONGEST_TMPDIR_BYTES} at most. Its plugins make their sockets there.",
            hint="Set a shorter one, TMPDIR=/tmp for example.",
        )


async def validate(
    plan: BuildPlan, runner: ProcessRunner, redact: Callable[[str], str]
) -> CheckResult:
    """Let Packer itself read the template, with the variables of the build."""
    command = packer_command(plan, "validate", *plan.packer_arguments, str(plan.template.path))
    answer = await capture(runner, command, timeout_s=_VALIDATE_S)
    if answer.return_code == 0:
        message = f"Packer {plan.packer_version} accepts it"
        return CheckResult(name="validate", unit=plan.unit, status=CheckStatus.OK, message=message)
    text = redact(without_escapes(answer.text))
    place = _PLACE.search(text)
    message = _what_is_wrong(text)
    if answer.return_code is None:
        message = f"packer validate gave no answer within {_VALIDATE_S:g} s"
    return CheckResult(
        name="validate",
        unit=plan.unit,
        status=CheckStatus.FAIL,
        message=message,
        hint=f"Run: {plan.packer_path} validate {plan.template.path}",
        details=_lines(text),
        exit_code=TemplateError.exit_code,
        file=printable(place[1], 300) if place else "",
        line=int(place[2]) if place and len(place[2]) < 8 else 0,
    )


def _lines(text: str) -> tuple[str, ...]:
    """All that Packer said, bounded; each line fit to be shown."""
    lines = [printable(line.rstrip(), _DETAIL_CHARS) for line in text.strip().splitlines()]
    return tuple(lines[:_MOST_DETAILS])


def _what_is_wrong(text: str) -> str:
    found = _ERROR.findall(text)
    if not found:
        found = [line for line in text.splitlines() if line.strip()][:1] or ["it is refused"]
    place = _PLACE.search(text)
    where = f"{place[1]}:{place[2]}: " if place else ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return printable(f"{where}{found[0].strip()}{more}", 500)


def packer_command(plan: BuildPlan, *arguments: str) -> Command:
    """A short command of the plan's Packer, in its folder and environment."""
    return Command(
        argv=(str(plan.packer_path), *arguments),
        cwd=plan.working_directory,
        environment={**plan.packer_environment, "PACKER_NO_COLOR": "1", "CHECKPOINT_DISABLE": "1"},
    )
