"""At home on GitHub Actions: commands, annotations, outputs and the step summary."""

from __future__ import annotations

from asyncpipe.report.github.annotations import annotation_commands
from asyncpipe.report.github.files import append
from asyncpipe.report.github.outputs import outputs, run_directory_output
from asyncpipe.report.github.printer import GithubPrinter
from asyncpipe.report.github.shield import Shield, command, mask_commands, neutralised
from asyncpipe.report.github.summary import SUMMARY_LIMIT_BYTES, summary

__all__ = [
    "SUMMARY_LIMIT_BYTES",
    "GithubPrinter",
    "Shield",
    "annotation_commands",
    "append",
    "command",
    "mask_commands",
    "neutralised",
    "outputs",
    "run_directory_output",
    "summary",
]
