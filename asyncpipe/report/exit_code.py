"""The exit code of a run, from how its templates ended."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpipe.errors import EXIT_CANCELLED, EXIT_PUBLISHED, EXIT_SOME_FAILED
from asyncpipe.model.publication import Failed, Outcome


def of(outcomes: Sequence[Outcome], *, template_count: int, cancelled: bool = False) -> int:
    """Return 130 when cancelled, 0 when all were published, else what the failures say.

    A run of one template ends with the code of its failure; of several with 4, whether some
    failed or all, with one code or many: a caller reads the codes in the report.

    Args:
        outcomes: one per template that ended.
        template_count: templates of the run; one without an outcome counts as failed.
        cancelled: a signal ended the run.
    """
    if cancelled:
        return EXIT_CANCELLED
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    if template_count == 1 and failures:
        return failures[0].exit_code
    if failures or len(outcomes) < template_count:
        return EXIT_SOME_FAILED
    return EXIT_PUBLISHED
