"""The message of a finished run for a chat: Slack, Mattermost and Teams read the same ``text``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from asyncpipe.model.publication import Outcome, Published
from asyncpipe.text.format import duration_text, size_text
from asyncpipe.text.safe import bounded, clean

_MAX_LINES = 40
_MAX_CHARACTERS = 12_000  # Mattermost refuses above 16,383, Teams above about 28 kB
# What a chat would take for a mention, a link or markup in a guest's words.
_ACTIVE = re.compile(r"([<>&@`*_~\[\]|#\\])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@\u2060"}


def payload(outcomes: Sequence[Outcome], *, run_url: str = "") -> dict[str, object]:
    """Return the JSON to post: ``text`` only, so that all three understand it.

    Args:
        outcomes: of all templates.
        run_url: where the run can be looked at, "" when nowhere.
    """
    published = sum(isinstance(outcome, Published) for outcome in outcomes)
    failed = len(outcomes) - published
    head = f"asyncpipe: {published} published, {failed} failed"
    lines = [_line(outcome) for outcome in sorted(outcomes, key=_failures_first)[:_MAX_LINES]]
    if len(outcomes) > _MAX_LINES:
        lines.append(f"... and {len(outcomes) - _MAX_LINES} more")
    tail = [run_url] if run_url else []
    return {"text": bounded("\n".join([head, *lines, *tail]), _MAX_CHARACTERS)}


def _failures_first(outcome: Outcome) -> bool:
    return isinstance(outcome, Published)


def _line(outcome: Outcome) -> str:
    took = duration_text(outcome.duration_s)
    if isinstance(outcome, Published):
        size = size_text(outcome.publication.xva.digests.size_bytes)
        return f"- {_plain(outcome.unit)}: published, {size}, {took}"
    return (
        f"- {_plain(outcome.unit)}: FAILED ({outcome.exit_code}), {took}: {_plain(outcome.error)}"
    )


def _plain(text: str) -> str:
    return _ACTIVE.sub(lambda hit: _ENTITIES.get(hit[1], f"\\{hit[1]}"), clean(text, limit=300))
