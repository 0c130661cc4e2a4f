"""Find Packer, its plugins, and hear what it says of a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from asyncpipe.errors import PackerMissingError, UsageError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.packer.constraints import allows, version_of
from asyncpipe.ports import Command, ProcessRunner
from asyncpipe.system.capture import capture
from asyncpipe.text.safe import printable, without_escapes

_VALIDATE_S: Final = 120.0
_PLUGINS_S: Final = 30.0
_PLUGINS_SINCE: Final = (1, 7)  # packer plugins installed, required_plugins (packer changelog)
_MOST_DETAILS: Final = 200
_DETAIL_CHARS: Final = 500
_ERROR = re.compile(r"^\W*Error: *(.+)$", re.MULTILINE)
_PLACE = re.compile(r"^\s*on (\S.*?) line (\d+)", re.MULTILINE)

_INSTALL_HINT: Final = (
    "Debian and Ubuntu: sudo apt-get install packer. "
    "Fedora, RHEL and their kin: sudo dnf install packer, from HashiCorp's package repository. "
    "macOS: brew install hashicorp/tap/packer. "
    "Any other place of the program: --packer PATH or PACKER=PATH."
)


def locate_packer(
    explicit: str | None,
    environment: Mapping[str, str],
    which: Callable[..., str | None],
) -> Path:
    """Find Packer: ``explicit`` (--packer), then $PACKER, then PATH.

    ``which`` is ``shutil.which`` or the like: (name, path=...) -> path of a program or None.

    Raises:
        PackerMissingError: none, or the one that was named cannot be run.
    """
    named = explicit or environment.get("PACKER")
    found = which(named or "packer", path=environment.get("PATH"))
    if found is not None:
        return Path(found).absolute()
    if named:
        raise PackerMissingError(
            f"{printable(named, 300)} is not a program that can be run.",
            hint="It was named by --packer or PACKER; correct it, or leave it to PATH.",
        )
    raise PackerMissingError("Packer was not found on PATH.", hint=_INSTALL_HINT)


def check_version(plan: BuildPlan) -> CheckResult | None:
    """Compare Packer with what the template asks of it; None when it asks for nothing."""
    wanted = ", ".join(plan.template.required_versions)
    if not wanted or not plan.packer_version:
        return None
    match allows(wanted, version_of(plan.packer_version)):
        case True:
            return _ok("packer-version", plan, f"the template asks for {printable(wanted, 100)}")
        case None:  # packer validate says what is wrong with it
            return None
    return CheckResult(
        name="packer-version",
        unit=plan.unit,
        status=CheckStatus.FAIL,
        message=f"The template asks for Packer {printable(wanted, 200)} (required_version); "
        f"{plan.packer_path} is {plan.packer_version}.",
        hint="Install that one, and name it by --packer PATH or PACKER=PATH.",
        exit_code=UsageError.exit_code,
    )


async def check_plugins(plan: BuildPlan, runner: ProcessRunner) -> CheckResult | None:
    """Look whether every plugin is there in a version that the template asks for; None: none is."""
    wanted = plan.template.required_plugins
    if not wanted:
        return None
    if version_of(plan.packer_version) < _PLUGINS_SINCE:
        return CheckResult(
            name="plugins",
            unit=plan.unit,
            status=CheckStatus.WARN,
            message=f"Packer {plan.packer_version} ignores required_plugins.",
            hint="Install Packer 1.7 or later, or the plugins by hand.",
        )
    answer = await capture(runner, _command(plan, "plugins", "installed"), timeout_s=_PLUGINS_S)
    installed = {source: _versions(source, answer.text) for source in wanted}
    if answer.return_code != 0:
        problems = ["packer plugins installed gave no list"]
    else:
        problems = [
            problem
            for source, constraint in sorted(wanted.items())
            if (problem := _lacking(source, constraint, installed[source]))
        ]
    if not problems:
        return _ok("plugins", plan, f"{len(wanted)} installed")
    return CheckResult(
        name="plugins",
        unit=plan.unit,
        status=CheckStatus.FAIL,
        message=printable("; ".join(problems), 500) + ".",
        hint=f"Run: {plan.packer_path} init {plan.template.path}",
        exit_code=UsageError.exit_code,
    )


def _versions(source: str, listed: str) -> list[str]:
    """``.../github.com/vatesfr/xenserver/packer-plugin-xenserver_v0.11.4_x5.0_linux_amd64``."""
    pattern = rf"{re.escape(source)}/packer-plugin-[^/\s_]+_v([\w.+-]+?)_x\d"
    return sorted(set(re.findall(pattern, listed)), key=version_of)


def _lacking(source: str, constraint: str, installed: list[str]) -> str:
    """What is wrong with a plugin, "" when one of its versions will do."""
    if not installed:
        return f"{source} {constraint}".rstrip() + " is not installed"
    if any(allows(constraint, version_of(one)) is not False for one in installed):
        return ""
    return f"the template asks for {source} {constraint}, installed is {', '.join(installed)}"


async def validate(
    plan: BuildPlan, runner: ProcessRunner, redact: Callable[[str], str]
) -> CheckResult:
    """Let Packer itself read the template, with the variables of the build."""
    command = _command(plan, "validate", *plan.packer_arguments, str(plan.template.path))
    answer = await capture(runner, command, timeout_s=_VALIDATE_S)
    if answer.return_code == 0:
        return _ok("validate", plan, f"Packer {plan.packer_version} accepts it")
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
        exit_code=3,
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


def _command(plan: BuildPlan, *arguments: str) -> Command:
    return Command(
        argv=(str(plan.packer_path), *arguments),
        cwd=plan.working_directory,
        environment={**plan.packer_environment, "PACKER_NO_COLOR": "1", "CHECKPOINT_DISABLE": "1"},
    )


def _ok(name: str, plan: BuildPlan, message: str) -> CheckResult:
    return CheckResult(name=name, unit=plan.unit, status=CheckStatus.OK, message=message)
