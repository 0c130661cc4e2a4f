"""What a step hands on: lines for the file that GITHUB_OUTPUT names."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence

from asyncpipe.model.publication import Outcome, Published, Tally

_MAX_OUTPUT_BYTES = 900_000  # all outputs of a job may have 1 MB


def outputs(
    outcomes: Sequence[Outcome],
    *,
    exit_code: int,
    run_directory: str,
    delimiter: Callable[[], str] = lambda: f"asyncpipe-{secrets.token_hex(16)}",
) -> str:
    """Return the text to append to ``$GITHUB_OUTPUT``.

    ``urls``: the published folders, one a line; ``metadata``: a JSON object, template name ->
    metadata, packages left out (and the rest too, largest first, above 900 kB: null then);
    ``published-count``, ``failed-count``, ``not-started-count``, ``run-directory``, ``exit-code``.
    Each value stands in a heredoc with a delimiter that no guest can guess.
    """
    published = [outcome for outcome in outcomes if isinstance(outcome, Published)]
    tally = Tally.of(outcomes)
    values = {
        "urls": "\n".join(outcome.publication.folder_url for outcome in published),
        "metadata": _metadata(published),
        "published-count": str(len(published)),
        "failed-count": str(tally.failed),
        "not-started-count": str(tally.not_started),
        "run-directory": run_directory,
        "exit-code": str(exit_code),
    }
    return "".join(_heredoc(name, value, delimiter()) for name, value in values.items())


def run_directory_output(
    run_directory: str,
    *,
    delimiter: Callable[[], str] = lambda: f"asyncpipe-{secrets.token_hex(16)}",
) -> str:
    """Return ``run-directory`` alone, for the beginning of a run; ``outputs`` says it again."""
    return _heredoc("run-directory", run_directory, delimiter())


def _heredoc(name: str, value: str, delimiter: str) -> str:
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _metadata(published: Sequence[Published]) -> str:
    documents: dict[str, Mapping[str, object] | None] = {
        outcome.unit: {key: value for key, value in outcome.metadata.items() if key != "packages"}
        for outcome in published
    }
    text = _json(documents)
    sizes = {unit: len(_json(document)) for unit, document in documents.items()}
    for unit in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if len(text) <= _MAX_OUTPUT_BYTES:
            break
        documents[unit] = None
        text = _json(documents)
    return text


def _json(value: object) -> str:
    # ASCII, one line: a step may print it, and U+2028 is no surprise to anybody.
    return json.dumps(value, separators=(",", ":"), default=str)
