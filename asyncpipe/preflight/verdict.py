"""Check results -> words and an exit code (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpipe.errors import EXIT_UNEXPECTED, AsyncpipeError, TemplateError
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.text.format import counted
from asyncpipe.text.safe import printable


def exit_code_of(results: Sequence[CheckResult]) -> int:
    """Return that of the first failure, else of the first warning that has one, else 0."""
    failed = (result for result in results if result.status is CheckStatus.FAIL)
    first = next(failed, None)
    if first is not None:
        return first.exit_code or EXIT_UNEXPECTED
    return next((one.exit_code for one in results if one.exit_code), 0)


def failure(name: str, error: AsyncpipeError, *, unit: str = "") -> CheckResult:
    """Turn an error of ours into a failed check."""
    place = (error.file, error.line or 0) if isinstance(error, TemplateError) else ("", 0)
    return CheckResult(
        name=name,
        status=CheckStatus.FAIL,
        message=printable(error.message, 1000),
        hint=printable(error.hint, 1000),
        exit_code=error.exit_code,
        unit=unit,
        file=place[0],
        line=place[1],
    )


def render(results: Sequence[CheckResult]) -> str:
    """Write one line a check, hints below those that need one, and the sum at the end."""
    width = max((len(_title(result)) for result in results), default=0)
    lines: list[str] = []
    for result in results:
        lines.append(f"{result.status.value:<7}  {_title(result):<{width}}  {result.message}")
        if result.hint and result.status in {CheckStatus.FAIL, CheckStatus.WARN}:
            lines.append(f"{'':<7}  {'':<{width}}  -> {result.hint}")
        lines += [f"{'':<7}  {'':<{width}}     {detail}".rstrip() for detail in result.details]
    failed = sum(result.status is CheckStatus.FAIL for result in results)
    warned = sum(result.status is CheckStatus.WARN for result in results)
    lines.append(f"{counted(len(results), 'check')}: {failed} failed, {warned} to look at")
    return "\n".join(lines) + "\n"


def _title(result: CheckResult) -> str:
    return f"{result.unit} {result.name}" if result.unit else result.name
