"""Annotations: failures with file and line, then warnings; the most telling first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from asyncpipe.model.publication import Failed, Outcome
from asyncpipe.report.github.shield import command, without_legacy
from asyncpipe.text.safe import bounded, clean

MAX_PER_TYPE = 10  # actions/runner ExecutionContext.cs, _maxCountPerIssueType: more are dropped
_MAX_MESSAGE = 4000  # _maxIssueMessageLength is 4096
_MAX_CAUSE_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of annotation; docs/github-actions.md lists all of ``KINDS``."""

    level: str  # "error" or "warning"
    title: str  # {names} are filled in
    when: str  # for the documentation


BUILD_FAILED: Final = Kind(
    level="error",
    title="{template}: exit code {code}",
    when="a build failed; with file and line where they are known",
)
COMMAND_FAILED: Final = Kind(
    level="error",
    title="asyncpipe {command}: exit code {code}",
    when="a command failed before it had a run: usage, templates, secrets, store",
)
CHECK_FAILED: Final = Kind(
    level="error", title="{template} {check}", when="a check of `asyncpipe check` failed"
)
ISO_FAILED: Final = Kind(
    level="error",
    title="ISO {state}",
    when="`asyncpipe iso-check`: the ISO is gone, or it or its list is not what it should be",
)
BUILD_WARNED: Final = Kind(
    level="warning", title="{template}", when="a warning of a build that was published all the same"
)
CHECK_WARNED: Final = Kind(
    level="warning", title="{template} {check}", when="a check that a person should look at"
)
ISO_WARNED: Final = Kind(
    level="warning",
    title="ISO {state}",
    when="`asyncpipe iso-check`: a newer ISO, or a mirror that does not answer",
)
COMMAND_WARNED: Final = Kind(
    level="warning",
    title="asyncpipe {command}",
    when="past durations are not known (`matrix`), something is left (`reap`)",
)
KINDS: Final = (
    BUILD_FAILED,
    COMMAND_FAILED,
    CHECK_FAILED,
    ISO_FAILED,
    BUILD_WARNED,
    CHECK_WARNED,
    ISO_WARNED,
    COMMAND_WARNED,
)


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
        annotation(BUILD_WARNED, text, names={"template": outcome.unit})
        for outcome in outcomes
        for text in outcome.warnings
    ]
    return (*at_most("error", errors), *at_most("warning", warnings))


def annotation(
    kind: Kind,
    *lines: str,
    names: Mapping[str, str],
    file: str = "",
    line: int | None = None,
    workspace: str = "",
) -> str:
    """Return one ``::error`` or ``::warning`` command without its newline.

    Args:
        kind: which of ``KINDS``.
        lines: what it says; blank ones are left out, long ones cut.
        names: what the title of this kind names.
        file: where, "" for nowhere.
        line: in that file, from 1.
        workspace: GITHUB_WORKSPACE; a file inside it is named relative to it.
    """
    text = "\n".join(clean(one, limit=1000) for one in lines if one)
    place = {"file": clean(_relative(file, workspace)), "line": str(line or "")}
    title = clean(kind.title.format(**names).strip())
    said = command(kind.level, bounded(text, _MAX_MESSAGE), {**place, "title": title})
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
        BUILD_FAILED,
        failure.error,
        *failure.cause_lines[:_MAX_CAUSE_LINES],
        f"Hint: {failure.hint}" if failure.hint else "",
        names={"template": failure.unit, "code": str(failure.exit_code)},
        file=failure.error_file,
        line=failure.error_line,
        workspace=workspace,
    )


def _relative(file: str, workspace: str) -> str:
    path = PurePath(file)
    if workspace and path.is_absolute() and path.is_relative_to(workspace):
        return str(path.relative_to(workspace))
    return file
