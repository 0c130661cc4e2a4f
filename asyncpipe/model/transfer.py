"""What is sent where, and what is known afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from asyncpipe.model.store import ObjectInfo, UploadHandle
from asyncpipe.retry import RetryPolicy

ZSTD_LEVELS = range(1, 20)  # those above need windows that a decoder may refuse


class Keep(StrEnum):
    """Whether an upload that failed stays at the store, with its journal, to be resumed."""

    NEVER = "never"
    LOST = "lost"  # the store could not be reached or failed; a cancellation aborts


class Verify(StrEnum):
    """Who proves that the store holds the bytes that were sent."""

    AUTO = "auto"  # the store where it refuses wrong digests, else reading back
    READ_BACK = "read-back"
    STORE = "store"  # only what the store does: nothing, where it does nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one source goes; create-only unless ``overwrite``."""

    key: str
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)  # the upload adds its own nonce
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """How uploads of this process behave; the budget is shared by all of them."""

    max_memory_bytes: int = 64 * 1024 * 1024
    part_size_bytes: int | None = None  # None: chosen from the size
    concurrency: int | None = None  # parts in flight; None: what memory and store allow
    bandwidth_bytes_per_s: float | None = None
    complete_timeout_s: float = 900.0
    stall_timeout_s: float = 60.0  # a part must advance by 1 MiB, and be answered, within this
    abort_timeout_s: float = 30.0
    verify: Verify = Verify.AUTO
    sha256: bool = True  # of the whole file, in order; costs more CPU than all the rest
    retry: RetryPolicy = field(default_factory=RetryPolicy)  # of each part and of each small call


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigests:
    """Digests of what is stored, computed in the one pass that sent it."""

    size_bytes: int
    sha256_hex: str  # empty when ``TransferOptions.sha256`` is off
    crc64nvme_base64: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Zstd:
    """Compress with zstd on the way to the store; ``level`` 1 is the fastest, 19 the smallest."""

    level: int = 1  # twice as fast as 3, and hardly larger: docs/performance.md

    def __str__(self) -> str:
        return f"zstd:{self.level}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """How a stored object is compressed, and what it holds."""

    format: str  # gzip, zstd
    plain_size_bytes: int
    plain_sha256_hex: str  # empty when ``TransferOptions.sha256`` is off
    level: int | None = None  # None: whoever compressed it did not say
    compressor: str | None = None  # "zstandard 0.25.0, zstd 1.5.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedObject:
    """Every byte is at the store, nothing is visible yet."""

    target: Target
    digests: FileDigests
    handle: UploadHandle | None  # None where the store stages otherwise (a single PUT, a folder)
    part_count: int
    compressed: Compressed | None = None  # None: it was sent as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedObject:
    """The object is visible and was checked afterwards.

    ``checks`` names what was compared or enforced by the store: verified, not hoped.
    """

    key: str
    url: str
    digests: FileDigests
    info: ObjectInfo
    checks: tuple[str, ...]  # docs/metadata.md, verified[], names them
    part_count: int
    resumed_bytes: int = 0  # bytes that an earlier attempt had already sent
    duration_s: float = 0.0
    compressed: Compressed | None = None  # None: it was sent as it is
