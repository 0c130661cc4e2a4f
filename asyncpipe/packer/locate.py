"""Find Packer, its plugins, and hear what it says of a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from asyncpipe.errors import PackerMissingError, TemplateError, UsageError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.ports import Command, ProcessRunner
from asyncpipe.system.capture import capture
from asyncpipe.text.safe import printable, without_escapes

_VALIDATE_S: Final = 120.0
_PLUGINS_S: Final = 30.0
_PLUGINS_SINCE: Final = (1, 7)  # packer plugins installed, required_plugins (packer changelog)
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


async def check_plugins(plan: BuildPlan, runner: ProcessRunner) -> CheckResult | None:
    """Look whether every required plugin is installed; None when the template asks for none."""
    wanted = plan.template.required_plugins
    if not wanted:
        return None
    if _version(plan.packer_version) < _PLUGINS_SINCE:
        return CheckResult(
            name="plugins",
            unit=plan.unit,
            status=CheckStatus.WARN,
            message=f"Packer {plan.packer_version} ignores required_plugins.",
            hint="Install Packer 1.7 or later, or the plugins by hand.",
        )
    answer = await capture(runner, _command(plan, "plugins", "installed"), timeout_s=_PLUGINS_S)
    missing = sorted(source for source in wanted if f"{source}/" not in answer.text)
    if answer.return_code == 0 and not missing:
        return _ok("plugins", plan, f"{len(wanted)} installed")
    return CheckResult(
        name="plugins",
        unit=plan.unit,
        status=CheckStatus.FAIL,
        message=f"Not installed: {printable(', '.join(missing or sorted(wanted)), 300)}.",
        hint=f"Run: {plan.packer_path} init {plan.template.path}",
        exit_code=UsageError.exit_code,
    )


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
        exit_code=TemplateError.exit_code,
        file=printable(place[1], 300) if place else "",
        line=int(place[2]) if place and len(place[2]) < 8 else 0,
    )


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


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _ok(name: str, plan: BuildPlan, message: str) -> CheckResult:
    return CheckResult(name=name, unit=plan.unit, status=CheckStatus.OK, message=message)
