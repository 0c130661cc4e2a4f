"""Annotations of a run: failures with file and line, then warnings; the most telling first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from asyncpipe.model.publication import Failed, Outcome
from asyncpipe.report.github.shield import command
from asyncpipe.text.safe import bounded, clean

MAX_PER_TYPE = 10  # actions/runner ExecutionContext.cs, _maxCountPerIssueType: more are dropped
_MAX_MESSAGE = 4000  # _maxIssueMessageLength is 4096
_MAX_CAUSE_LINES = 5


def annotation_commands(outcomes: Sequence[Outcome], *, workspace: str = "") -> tuple[str, ...]:
    """Return at most ten ``::error`` and ten ``::warning`` commands, without newlines.

    Failures that name a line come first, then those that name a file, then the rest. When there
    are more than ten the tenth says how many are not shown.

    Args:
        outcomes: of all templates.
        workspace: GITHUB_WORKSPACE; files inside it are named relative to it.
    """
    failures = sorted(
        (outcome for outcome in outcomes if isinstance(outcome, Failed) and outcome.started),
        key=_telling,
    )
    errors = [_error(failure, workspace) for failure in failures]
    warnings = [
        command("warning", _message(text), {"title": clean(outcome.unit)})
        for outcome in outcomes
        for text in outcome.warnings
    ]
    return (*_at_most("error", errors), *_at_most("warning", warnings))


def _telling(failure: Failed) -> tuple[bool, bool, str]:
    return failure.error_line is None, not failure.error_file, failure.unit


def _error(failure: Failed, workspace: str) -> str:
    file = _relative(failure.error_file, workspace)
    lines = [failure.error, *failure.cause_lines[:_MAX_CAUSE_LINES]]
    lines += [f"Hint: {failure.hint}"] if failure.hint else []
    return command(
        "error",
        _message(*lines),
        {
            "file": clean(file),
            "line": str(failure.error_line or ""),
            "title": clean(f"{failure.unit}: exit code {failure.exit_code}"),
        },
    )


def _message(*lines: str) -> str:
    return bounded("\n".join(clean(line, limit=1000) for line in lines), _MAX_MESSAGE)


def _relative(file: str, workspace: str) -> str:
    path = PurePath(file)
    if workspace and path.is_absolute() and path.is_relative_to(workspace):
        return str(path.relative_to(workspace))
    return file


def _at_most(kind: str, commands: Sequence[str]) -> Iterator[str]:
    if len(commands) <= MAX_PER_TYPE:
        yield from commands
        return
    yield from commands[: MAX_PER_TYPE - 1]
    rest = len(commands) - MAX_PER_TYPE + 1
    yield command(kind, f"{rest} more; the step summary has them all.")
