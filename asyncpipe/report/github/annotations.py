"""Annotations: failures with file and line, then warnings; the most telling first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from asyncpipe.model.publication import Failed, Outcome
from asyncpipe.report.github.shield import command, without_legacy
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
        annotation("warning", text, title=outcome.unit)
        for outcome in outcomes
        for text in outcome.warnings
    ]
    return (*at_most("error", errors), *at_most("warning", warnings))


def annotation(
    kind: str,
    *lines: str,
    title: str,
    file: str = "",
    line: int | None = None,
    workspace: str = "",
) -> str:
    """Return one ``::error`` or ``::warning`` command without its newline.

    Args:
        kind: ``error``, ``warning`` or ``notice``.
        lines: what it says; blank ones are left out, long ones cut.
        title: what it is about.
        file: where, "" for nowhere.
        line: in that file, from 1.
        workspace: GITHUB_WORKSPACE; a file inside it is named relative to it.
    """
    text = "\n".join(clean(one, limit=1000) for one in lines if one)
    place = {"file": clean(_relative(file, workspace)), "line": str(line or "")}
    said = command(kind, bounded(text, _MAX_MESSAGE), {**place, "title": clean(title)})
    return without_legacy(said)  # what it quotes is no command to any runner


def at_most(kind: str, commands: Sequence[str]) -> Iterator[str]:
    """Yield ten of one kind; when there are more the tenth says how many are not shown."""
    if len(commands) <= MAX_PER_TYPE:
        yield from commands
        return
    yield from commands[: MAX_PER_TYPE - 1]
    rest = len(commands) - MAX_PER_TYPE + 1
    yield command(kind, f"{rest} more; the step summary has them all.")


def _telling(failure: Failed) -> tuple[bool, bool, str]:
    return failure.error_line is None, not failure.error_file, failure.unit


def _error(failure: Failed, workspace: str) -> str:
    return annotation(
        "error",
        failure.error,
        *failure.cause_lines[:_MAX_CAUSE_LINES],
        f"Hint: {failure.hint}" if failure.hint else "",
        title=f"{failure.unit}: exit code {failure.exit_code}",
        file=failure.error_file,
        line=failure.error_line,
        workspace=workspace,
    )


def _relative(file: str, workspace: str) -> str:
    path = PurePath(file)
    if workspace and path.is_absolute() and path.is_relative_to(workspace):
        return str(path.relative_to(workspace))
    return file
