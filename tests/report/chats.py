"""What each chat takes at its webhook, as JSON Schema in our words.

Sources: docs.slack.dev "Sending messages using incoming webhooks"; Mattermost's "Incoming
webhooks" and its limit of a post; Discord's "Execute Webhook"; matrix-hookshot "Webhooks";
Microsoft's trigger "When a Teams webhook request is received" and the Adaptive Card schema 1.4.
"""

from __future__ import annotations

from typing import Any, Final

from asyncpipe.model.run import ChatFormat

_TEXT_BLOCK: Final = {
    "type": "object",
    "required": ["type", "text"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "TextBlock"},
        "text": {"type": "string", "minLength": 1},
        "weight": {"enum": ["Lighter", "Default", "Bolder"]},
        "size": {"enum": ["Small", "Default", "Medium", "Large", "ExtraLarge"]},
        "wrap": {"type": "boolean"},
    },
}
_OPEN_URL: Final = {
    "type": "object",
    "required": ["type", "url"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "Action.OpenUrl"},
        "title": {"type": "string"},
        "url": {"type": "string", "format": "uri", "pattern": "^https?://"},
    },
}
_CARD: Final = {
    "type": "object",
    "required": ["type", "version", "body"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
        "type": {"const": "AdaptiveCard"},
        "version": {"enum": ["1.0", "1.1", "1.2", "1.3", "1.4"]},  # Teams shows up to 1.5
        "body": {"type": "array", "minItems": 1, "items": _TEXT_BLOCK},
        "actions": {"type": "array", "maxItems": 6, "items": _OPEN_URL},
    },
}
SCHEMAS: Final[dict[ChatFormat, dict[str, Any]]] = {
    ChatFormat.SLACK: {
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 40_000},
            "mrkdwn": {"type": "boolean"},
        },
    },
    ChatFormat.TEXT: {  # Mattermost
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 16_383}},
    },
    ChatFormat.DISCORD: {
        "type": "object",
        "required": ["content"],
        "additionalProperties": False,
        "properties": {
            "content": {"type": "string", "minLength": 1, "maxLength": 2000},
            "allowed_mentions": {
                "type": "object",
                "properties": {
                    "parse": {"type": "array", "items": {"enum": ["roles", "users", "everyone"]}}
                },
            },
        },
    },
    ChatFormat.MATRIX: {
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 32_000},
            "html": {"type": "string", "maxLength": 32_000},
            "username": {"type": "string"},
        },
    },
    ChatFormat.TEAMS: {
        "type": "object",
        "required": ["type", "attachments"],
        "additionalProperties": False,
        "properties": {
            "type": {"const": "message"},
            "attachments": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["contentType", "content"],
                    "additionalProperties": False,
                    "properties": {
                        "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                        "contentUrl": {"type": ["string", "null"]},
                        "content": _CARD,
                    },
                },
            },
        },
    },
}
