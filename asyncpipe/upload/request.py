"""What an upload is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asyncpipe.errors import (
    ChecksumError,
    ConflictError,
    DestinationTakenError,
    SourceChangedError,
    UploadError,
    leaf_of,
)
from asyncpipe.model.transfer import Keep, Target, TransferOptions, Zstd
from asyncpipe.ports import ObjectStore
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.digests import Inspector
from asyncpipe.upload.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """One source, its destination, and how to get it there.

    Args:
        store: where to.
        target: the key, its content type and metadata.
        source: the file, finished or growing; the session opens and closes it.
        budget: the one of the process.
        options: timeouts, retries, digests.
        inspector: sees every byte in order; a rejection stops the upload.
        journal_path: where the journal is kept; none without it.
        resume: go on with the upload of that journal, if it still exists.
        keep: whether a failure of the store leaves upload and journal to be resumed.
        expected_size_bytes: estimate for a growing file.
        zstd: compress on the way; a file that is compressed already is sent as it is.
        progress: called in the event loop with (sent_bytes, total_bytes or None); must not block.
        warn: called with (code, sentence) when something was left behind at the store.
    """

    store: ObjectStore
    target: Target
    source: Source
    budget: Budget
    options: TransferOptions
    inspector: Inspector | None = None
    journal_path: Path | None = None
    resume: bool = False
    keep: Keep = Keep.NEVER
    expected_size_bytes: int | None = None
    zstd: Zstd | None = None
    progress: Callable[[int, int | None], None] | None = None
    warn: Callable[[str, str], None] | None = None

    def may_resume_after(self, error: BaseException | None) -> bool:
        """Whether to keep the upload: the store failed, and the bytes sent so far are right."""
        if error is None or self.keep is Keep.NEVER or self.journal_path is None:
            return False
        leaf = leaf_of(error)
        wrong = (SourceChangedError, ChecksumError, DestinationTakenError, ConflictError)
        return isinstance(leaf, UploadError) and not isinstance(leaf, wrong)
