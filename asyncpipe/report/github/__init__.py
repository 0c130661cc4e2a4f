"""At home on GitHub Actions: commands, annotations, outputs and the step summary."""

from __future__ import annotations

from asyncpipe.report.github.annotations import (
    CHECK_FAILED,
    CHECK_WARNED,
    COMMAND_FAILED,
    COMMAND_WARNED,
    ISO_FAILED,
    ISO_WARNED,
    annotation,
    annotation_commands,
    at_most,
)
from asyncpipe.report.github.files import append
from asyncpipe.report.github.outputs import heredocs, outputs
from asyncpipe.report.github.printer import GithubPrinter
from asyncpipe.report.github.shield import Shield, command, mask_commands, neutralised
from asyncpipe.report.github.summary import (
    SUMMARY_LIMIT_BYTES,
    checks_summary,
    failure_summary,
    summary,
)

__all__ = [
    "CHECK_FAILED",
    "CHECK_WARNED",
    "COMMAND_FAILED",
    "COMMAND_WARNED",
    "ISO_FAILED",
    "ISO_WARNED",
    "SUMMARY_LIMIT_BYTES",
    "GithubPrinter",
    "Shield",
    "annotation",
    "annotation_commands",
    "append",
    "at_most",
    "checks_summary",
    "command",
    "failure_summary",
    "heredocs",
    "mask_commands",
    "neutralised",
    "outputs",
    "summary",
]
