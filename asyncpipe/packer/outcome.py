"""How a run ended -> the error that says why."""

from __future__ import annotations

from asyncpipe.errors import (
    AsyncpipeError,
    BuildTimedOutError,
    PackerFailedError,
    TemplateError,
)
from asyncpipe.model.build import BuildExit, BuildPlan
from asyncpipe.packer.hints import hint_for
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.packer.watch import Stopped
from asyncpipe.text.format import duration_text
from asyncpipe.text.safe import printable


def raise_for(plan: BuildPlan, progress: BuildProgress, stopped: Stopped) -> None:
    """Raise what this end means; nothing when Packer ended well.

    Raises:
        BuildTimedOutError, TemplateError, PackerFailedError: with ``build_exit`` set.
    """
    build_exit = progress.build_exit
    error: AsyncpipeError | None = None
    if stopped is not Stopped.NO:
        error = _timed_out(plan, stopped)
    elif build_exit.return_code:
        error = _template_error(progress) or _packer_error(build_exit)
    if error:
        error.build_exit = build_exit
        raise error


def _timed_out(plan: BuildPlan, stopped: Stopped) -> BuildTimedOutError:
    if stopped is Stopped.NO_ANSWER:
        return BuildTimedOutError(
            f"The host did not answer within {duration_text(plan.host_answer_s or 0.0)}.",
            hint="Check remote_host, and that this machine reaches its port 443 (firewall, VPN, "
            "routes); raise --host-timeout if it is only slow.",
        )
    return BuildTimedOutError(
        f"The build did not end within {duration_text(plan.build_timeout_s or 0.0)} "
        "and was stopped.",
        hint="Raise --build-timeout, or see the log for what hung.",
    )


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
        hint=hint_for(build_exit.errors) or "The whole output is in build.log.",
        cause_lines=build_exit.errors,
    )
