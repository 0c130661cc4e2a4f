"""The message of a finished run for a chat, in the form that the chat reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from asyncpipe.model.publication import Outcome, Published, Tally
from asyncpipe.model.run import ChatFormat
from asyncpipe.text.format import duration_text, size_text
from asyncpipe.text.safe import bounded, clean

_TEAMS_HOSTS: Final = (
    "logic.azure.com",
    "logic.azure.us",
    "api.powerplatform.com",
    "webhook.office.com",
)
_DISCORD_HOSTS: Final = ("discord.com", "discordapp.com")
_MAX_LINES = 40
_MAX_DISCORD_CHARACTERS = 2000  # of "content"
_MAX_CHARACTERS = 12_000  # Mattermost refuses above 16,383, Teams above about 28 kB
# What a chat would take for a mention, a link or markup in a guest's words.
_ACTIVE = re.compile(r"([<>&@`*_~\[\]|#\\])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@\u2060"}


def format_of(url: str) -> ChatFormat:
    """Return what the chat behind ``url`` reads, by its host and path.

    Teams' workflows live at Power Platform and Logic Apps (the connectors of Teams itself, which
    took ``text``, are retired); Discord reads ``text`` at its addresses that end in ``/slack``.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if any(host == known or host.endswith(f".{known}") for known in _TEAMS_HOSTS):
        return ChatFormat.TEAMS
    is_discord = host in _DISCORD_HOSTS and not parts.path.rstrip("/").endswith("/slack")
    return ChatFormat.DISCORD if is_discord else ChatFormat.TEXT


def payload(
    outcomes: Sequence[Outcome], *, run_url: str = "", form: ChatFormat = ChatFormat.TEXT
) -> dict[str, object]:
    """Return the JSON to post.

    Args:
        outcomes: of all templates.
        run_url: where the run can be looked at, "" when nowhere.
        form: what the chat reads; ``AUTO`` is ``TEXT`` here.
    """
    head, lines = _message(outcomes)
    if form is ChatFormat.TEAMS:
        return _card(head, lines, run_url)
    text = "\n".join([head, *lines, *([run_url] if run_url else [])])
    if form is ChatFormat.DISCORD:
        return {
            "content": bounded(text, _MAX_DISCORD_CHARACTERS),
            "allowed_mentions": {"parse": []},
        }
    return {"text": bounded(text, _MAX_CHARACTERS)}


def _card(head: str, lines: Sequence[str], run_url: str) -> dict[str, object]:
    """A message with an adaptive card, as the Teams workflow "post to a channel" wants it.

    Format: https://learn.microsoft.com/connectors/teams/ (webhook trigger), adaptivecards.io 1.4.
    """
    text = bounded("\n\n".join(lines), _MAX_CHARACTERS)
    body = [
        {"type": "TextBlock", "text": head, "weight": "Bolder", "size": "Medium", "wrap": True},
        {"type": "TextBlock", "text": text, "wrap": True},
    ]
    actions = [{"type": "Action.OpenUrl", "title": "Open the run", "url": run_url}]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body if text else body[:1],
        **({"actions": actions} if run_url else {}),
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": content_type, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _message(outcomes: Sequence[Outcome]) -> tuple[str, list[str]]:
    head = f"asyncpipe: {Tally.of(outcomes)}"
    lines = [_line(outcome) for outcome in sorted(outcomes, key=_failures_first)[:_MAX_LINES]]
    if len(outcomes) > _MAX_LINES:
        lines.append(f"... and {len(outcomes) - _MAX_LINES} more")
    return head, lines


def _failures_first(outcome: Outcome) -> bool:
    return isinstance(outcome, Published)


def _line(outcome: Outcome) -> str:
    took = duration_text(outcome.duration_s)
    if isinstance(outcome, Published):
        size = size_text(outcome.publication.xva.digests.size_bytes)
        return f"- {_plain(outcome.unit)}: published, {size}, {took}"
    if not outcome.started:
        return f"- {_plain(outcome.unit)}: not started: {_plain(outcome.error)}"
    return (
        f"- {_plain(outcome.unit)}: FAILED ({outcome.exit_code}), {took}: {_plain(outcome.error)}"
    )


def _plain(text: str) -> str:
    return _ACTIVE.sub(lambda hit: _ENTITIES.get(hit[1], f"\\{hit[1]}"), clean(text, limit=300))
