"""Facts about the run itself that end up in the metadata."""

from __future__ import annotations

from dataclasses import dataclass

from asyncpipe.model.transfer import Compressed, FileDigests


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
