"""Choices of a run that its settings name, without the rest of what a build or a host is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

GRACE_S = 120.0  # what Packer gets to clean up after SIGTERM
KEEP_FAILED_S = 24 * 3600.0  # a VM that --on-error keep leaves for a person
HOST_ANSWER_S = 120.0  # for the host's first answer


class OnError(StrEnum):
    """What becomes of the VM of a build that fails."""

    CLEANUP = "cleanup"
    KEEP = "keep"


class ChatFormat(StrEnum):
    """What a chat's webhook understands; ``auto`` is decided by its host."""

    AUTO = "auto"
    TEXT = "text"  # Mattermost, Discord's /slack address
    SLACK = "slack"
    TEAMS = "teams"  # an adaptive card, for a Teams workflow
    DISCORD = "discord"
    MATRIX = "matrix"  # a generic webhook of matrix-hookshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How a host proves who it is: a pinned fingerprint, one that is stored, or a CA."""

    fingerprints: tuple[str, ...] = ()  # SHA-256 of the certificate, as openssl prints it or plain
    ca_file: Path | None = None
    known_hosts: Path | None = None  # where `asyncpipe host trust` stores fingerprints
