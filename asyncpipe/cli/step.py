"""What a step of GitHub Actions shows of a command: annotations, outputs, the summary.

A run reports its own end (``cli/run/report.py``); this reports what fails before a run exists, and
for commands that have none. Elsewhere nothing of it does anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncpipe.model.check import CheckResult

# Commands whose outputs are those of a run (action.yml): they are set however early one fails.
_OF_A_RUN: Final = frozenset({"build", "publish"})


def is_step(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether GitHub's runner reads what we print."""
    return environment.get("GITHUB_ACTIONS") == "true"


def failed(
    command: str,
    message: str,
    hint: str,
    exit_code: int,
    *,
    file: str = "",
    line: int | None = None,
) -> None:
    """Show why a command failed that had no run: an annotation, the summary, the outputs."""
    if not is_step():
        return
    from asyncpipe.report import github

    annotate(
        [
            github.annotation(
                github.COMMAND_FAILED,
                message,
                f"Hint: {hint}" if hint else "",
                names={"command": command, "code": str(exit_code)},
                file=file,
                line=line,
                workspace=os.environ.get("GITHUB_WORKSPACE", ""),
            )
        ]
    )
    summarise(github.failure_summary(command, message, hint, exit_code))
    if command in _OF_A_RUN:
        _append("GITHUB_OUTPUT", github.outputs([], exit_code=exit_code, run_directory=None))
    else:
        hand_on({"exit-code": str(exit_code)})


def warn(command: str, message: str) -> None:
    """Show a warning of a command as an annotation."""
    if not is_step():
        return
    from asyncpipe.report import github

    annotate([github.annotation(github.COMMAND_WARNED, message, names={"command": command})])


def show_checks(results: Sequence[CheckResult], exit_code: int) -> None:
    """Show the failures and warnings of checks as annotations, and all of them in the summary."""
    if not is_step():
        return
    from asyncpipe.model.check import CheckStatus
    from asyncpipe.report import github

    kinds = {CheckStatus.FAIL: github.CHECK_FAILED, CheckStatus.WARN: github.CHECK_WARNED}
    for status, kind in kinds.items():
        commands = [
            github.annotation(
                kind,
                one.message,
                f"Hint: {one.hint}" if one.hint else "",
                names={"template": one.unit, "check": one.name},
                file=one.file,
                line=one.line,
                workspace=os.environ.get("GITHUB_WORKSPACE", ""),
            )
            for one in results
            if one.status is status
        ]
        annotate(github.at_most(kind.level, commands))
    summarise(github.checks_summary(results, exit_code))
    hand_on({"exit-code": str(exit_code)})


def annotate(commands: Iterable[str]) -> None:
    """Print workflow commands of ours on stderr: stdout may be captured."""
    for command in commands:
        own = getattr(sys.stderr, "command", None)  # past the guard that cli/main.py sets
        if own is None:
            print(command, file=sys.stderr)  # noqa: T201 - the runner reads it
        else:
            own(command)


def summarise(text: str) -> None:
    """Append to the step's summary."""
    _append("GITHUB_STEP_SUMMARY", text)


def hand_on(values: Mapping[str, str]) -> None:
    """Set outputs of the step."""
    from asyncpipe.report import github

    _append("GITHUB_OUTPUT", github.heredocs(values))


def _append(name: str, text: str) -> None:
    from asyncpipe.report import github

    problem = github.append(os.environ, name, text) if is_step() else ""
    if problem:
        print(f"asyncpipe: {problem}", file=sys.stderr)  # noqa: T201
