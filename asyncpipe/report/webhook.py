"""A message for a chat, in the form that the chat reads: of a finished run, or of a revocation."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
_SLACK_HOSTS: Final = ("hooks.slack.com", "hooks.slack-gov.com")
_DISCORD_HOSTS: Final = ("discord.com", "discordapp.com")
_MAX_LINES = 40
_MAX_DISCORD_CHARACTERS = 2000  # of "content"
_MAX_CHARACTERS = 12_000  # Mattermost refuses above 16,383, Teams above about 28 kB
# What a chat would take for a mention, a link or markup in a guest's words.
_ACTIVE = re.compile(r"([<>&@`*_~\[\]|#\\])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@\u2060"}

_Plain = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a line: our own words, or somebody's, which must not act as markup."""

    text: str
    is_foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a chat is shown; ``url``: where it can be looked at, "" when nowhere."""

    head: str
    lines: tuple[tuple[Part, ...], ...] = ()
    url: str = ""


def format_of(url: str) -> ChatFormat:
    """Return what the chat behind ``url`` reads, by its host and path.

    Teams' workflows live at Power Platform and Logic Apps (the connectors of Teams itself, which
    took ``text``, are retired); Discord reads ``text`` at its addresses that end in ``/slack``.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if any(host == known or host.endswith(f".{known}") for known in _TEAMS_HOSTS):
        return ChatFormat.TEAMS
    if host in _SLACK_HOSTS:
        return ChatFormat.SLACK
    is_discord = host in _DISCORD_HOSTS and not parts.path.rstrip("/").endswith("/slack")
    return ChatFormat.DISCORD if is_discord else ChatFormat.TEXT


def payload(
    outcomes: Sequence[Outcome], *, run_url: str = "", form: ChatFormat = ChatFormat.TEXT
) -> dict[str, object]:
    """Return the JSON to post about a finished run.

    Args:
        outcomes: of all templates.
        run_url: where the run can be looked at, "" when nowhere.
        form: what the chat reads; ``AUTO`` is ``TEXT`` here.
    """
    return body(message_of(outcomes, run_url=run_url), form)


def message_of(outcomes: Sequence[Outcome], *, run_url: str = "") -> Message:
    """Return the message of a finished run, failures first."""
    ordered = sorted(outcomes, key=lambda outcome: isinstance(outcome, Published))
    lines = [_of_outcome(outcome) for outcome in ordered[:_MAX_LINES]]
    if len(outcomes) > _MAX_LINES:
        lines.append((Part(text=f"... and {len(outcomes) - _MAX_LINES} more"),))
    head = f"asyncpipe: {Tally.of(outcomes)}"
    return Message(head=head, lines=tuple(lines), url=run_url)


def revocation(version: str, *, reason: str, by: str, moved: Sequence[str]) -> Message:
    """Return the message of a revocation; ``moved``: sentences about names that lead elsewhere."""
    lines = [(Part(text="- why: "), Part(text=reason, is_foreign=True))]
    lines += [(Part(text="- by: "), Part(text=by, is_foreign=True))] if by else []
    lines += [(Part(text="- "), Part(text=text, is_foreign=True)) for text in moved[:_MAX_LINES]]
    return Message(head=f"asyncpipe: {version} is REVOKED", lines=tuple(lines))


def body(message: Message, form: ChatFormat) -> dict[str, object]:
    """Return the JSON to post; what a guest or a person wrote in it acts as nothing."""
    if form is ChatFormat.TEAMS:
        return _card(message)
    if form is ChatFormat.SLACK:
        # docs.slack.dev, "Formatting message text": only these three are escaped, and
        # without mrkdwn nothing else acts
        return {"text": _text(message, _entities), "mrkdwn": False}
    if form is ChatFormat.MATRIX:
        return _of_hookshot(message)
    text = _text(message, _plain)
    if form is ChatFormat.DISCORD:
        return {
            "content": bounded(text, _MAX_DISCORD_CHARACTERS),
            "allowed_mentions": {"parse": []},
        }
    return {"text": text}


def _text(message: Message, plain: _Plain) -> str:
    lines = [_line(parts, plain) for parts in message.lines]
    url = [message.url] if message.url else []
    return bounded("\n".join([message.head, *lines, *url]), _MAX_CHARACTERS)


def _of_hookshot(message: Message) -> dict[str, object]:
    """What matrix-hookshot takes at a generic webhook: plain text, and the same as HTML."""
    text = _text(message, _silent)
    return {"text": text, "html": html.escape(text).replace("\n", "<br>")}


def _card(message: Message) -> dict[str, object]:
    """A message with an adaptive card, as the Teams workflow "post to a channel" wants it.

    Format: https://learn.microsoft.com/connectors/teams/ (webhook trigger), adaptivecards.io 1.4.
    """
    lines = [_line(parts, _plain) for parts in message.lines]
    text = bounded("\n\n".join(lines), _MAX_CHARACTERS)
    blocks = [
        {
            "type": "TextBlock",
            "text": message.head,
            "weight": "Bolder",
            "size": "Medium",
            "wrap": True,
        },
        {"type": "TextBlock", "text": text, "wrap": True},
    ]
    actions = [{"type": "Action.OpenUrl", "title": "Open the run", "url": message.url}]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks if text else blocks[:1],
        **({"actions": actions} if message.url else {}),
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": content_type, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _of_outcome(outcome: Outcome) -> tuple[Part, ...]:
    took = duration_text(outcome.duration_s)
    name = (Part(text="- "), Part(text=outcome.unit, is_foreign=True))
    if isinstance(outcome, Published):
        size = size_text(outcome.publication.xva.digests.size_bytes)
        return (*name, Part(text=f": published, {size}, {took}"))
    what = f"FAILED ({outcome.exit_code}), {took}" if outcome.started else "not started"
    return (*name, Part(text=f": {what}: "), Part(text=outcome.error, is_foreign=True))


def _line(parts: Sequence[Part], plain: _Plain) -> str:
    return "".join(
        plain(clean(part.text, limit=300)) if part.is_foreign else part.text for part in parts
    )


def _plain(text: str) -> str:
    return _ACTIVE.sub(lambda hit: _ENTITIES.get(hit[1], f"\\{hit[1]}"), text)


def _entities(text: str) -> str:
    return html.escape(text, quote=False)


def _silent(text: str) -> str:
    """Let ``@room`` call nobody."""
    return text.replace("@", _ENTITIES["@"])
