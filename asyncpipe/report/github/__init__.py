"""At home on GitHub Actions: commands, annotations, outputs and the step summary."""

from __future__ import annotations

from asyncpipe.report.github.annotations import annotation_commands
from asyncpipe.report.github.outputs import outputs
from asyncpipe.report.github.shield import Shield, neutralised
from asyncpipe.report.github.summary import SUMMARY_LIMIT_BYTES, summary

__all__ = [
    "SUMMARY_LIMIT_BYTES",
    "Shield",
    "annotation_commands",
    "neutralised",
    "outputs",
    "summary",
]
