"""How a run ended -> the error that says why."""

from __future__ import annotations

from asyncpipe.errors import (
    AsyncpipeError,
    BuildTimedOutError,
    PackerFailedError,
    TemplateError,
)
from asyncpipe.model.build import BuildExit, BuildPlan
from asyncpipe.packer.causes import hint_for
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.text.format import duration_text
from asyncpipe.text.safe import printable


def raise_for(plan: BuildPlan, progress: BuildProgress, *, timed_out: bool) -> None:
    """Raise what this end means; nothing when Packer ended well.

    Raises:
        BuildTimedOutError, TemplateError, PackerFailedError: with ``build_exit`` set.
    """
    build_exit = progress.build_exit
    error: AsyncpipeError | None = None
    if timed_out:
        limit_text = duration_text(plan.build_timeout_s or 0.0)
        error = BuildTimedOutError(
            f"The build did not end within {limit_text} and was stopped.",
            hint=_remains_hint(build_exit)
            or "Raise --build-timeout, or see the log for what hung.",
        )
    elif build_exit.return_code:
        error = _template_error(progress) or _packer_error(build_exit)
    if error:
        error.build_exit = build_exit
        raise error


def _template_error(progress: BuildProgress) -> TemplateError | None:
    """Return the error of a template that Packer refused before any build began."""
    placed = [d for d in progress.causes.diagnostics if d.file and d.line]
    if progress.builds_started or not placed:
        return None
    first = placed[0]
    return TemplateError(
        printable(f"Packer refuses the template: {first}", 1000),
        hint="Correct the template; `packer validate` shows the same in seconds.",
        file=first.file,
        line=first.line,
    )


def _packer_error(build_exit: BuildExit) -> PackerFailedError:
    code = build_exit.return_code
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    if build_exit.cancelled:
        how += " (something else interrupted it)"
    cause = f": {build_exit.errors[0]}" if build_exit.errors else "."
    return PackerFailedError(
        f"Packer {how}{cause}",
        hint=hint_for(build_exit.errors)
        or _remains_hint(build_exit)
        or "The whole output is in build.log.",
        cause_lines=build_exit.errors,
    )


def _remains_hint(build_exit: BuildExit) -> str:
    if not build_exit.instance_uuids or build_exit.return_code >= 0:
        return ""
    uuids = ", ".join(build_exit.instance_uuids)
    return f"VM {uuids} may still be on the pool: look (xe vm-list) and remove it."
