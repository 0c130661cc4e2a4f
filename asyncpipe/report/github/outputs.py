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
    run_directory: str | None,
    earlier_urls: Sequence[str] = (),
    delimiter: Callable[[], str] = lambda: f"asyncpipe-{secrets.token_hex(16)}",
) -> str:
    """Return the text to append to ``$GITHUB_OUTPUT``.

    ``urls``: the published folders, one a line; ``metadata``: a JSON object, template name ->
    metadata, packages left out (and the rest too, largest first, above 900 kB: null then);
    ``published-count``, ``failed-count``, ``not-started-count``, ``run-directory``, ``exit-code``.
    Each value is written as a heredoc with a delimiter that no guest can guess.

    Args:
        outcomes: of the run's templates; none when it failed before it began.
        exit_code: of the command.
        run_directory: the run's folder; None leaves what was handed on before.
        earlier_urls: folders that an earlier attempt of the workflow published.
        delimiter: makes one for each value.
    """
    published = [outcome for outcome in outcomes if isinstance(outcome, Published)]
    tally = Tally.of(outcomes)
    values = {
        "urls": "\n".join([*earlier_urls, *(one.publication.folder_url for one in published)]),
        "metadata": _metadata(published),
        "published-count": str(len(published)),
        "failed-count": str(tally.failed),
        "not-started-count": str(tally.not_started),
        "exit-code": str(exit_code),
    }
    if run_directory is not None:
        values["run-directory"] = run_directory
    return heredocs(values, delimiter=delimiter)


def heredocs(
    values: Mapping[str, str],
    *,
    delimiter: Callable[[], str] = lambda: f"asyncpipe-{secrets.token_hex(16)}",
) -> str:
    """Return the text to append to ``$GITHUB_OUTPUT`` for any outputs."""
    return "".join(_heredoc(name, value, delimiter()) for name, value in values.items())


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
    # ASCII, one line: a step may print it, and U+2028 surprises nobody.
    return json.dumps(value, separators=(",", ":"), default=str)
