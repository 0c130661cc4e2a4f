"""Choices of a run that its settings name, and facts about it that end up in the metadata."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from asyncpipe.model.transfer import Compressed, FileDigests

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CiFacts:
    """The CI run that built a template; empty strings where it said nothing."""

    provider: str  # "github"
    run_url: str = ""
    workflow: str = ""
    workflow_ref: str = ""
    job: str = ""
    event: str = ""
    ref: str = ""
    actor: str = ""
    runner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Where the run came from; None where that is unknown."""

    tool_version: str
    run_id: str = ""
    git_commit: str | None = None
    git_dirty: bool | None = None
    git_remote: str | None = None  # without userinfo
    git_prefix: str = ""  # the current folder below the checkout's top: "", "images/"
    ci: CiFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file as the metadata names it: its key and the digests of what was sent."""

    key: str
    digests: FileDigests
    compressed: Compressed | None = None  # whoever did it
