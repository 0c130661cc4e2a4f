"""What the rooms need from outside; real implementations and fakes pass one contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from asyncpipe.errors import UploadError
    from asyncpipe.model.events import Event
    from asyncpipe.model.host import HostVdi, HostVm, Mark, PoolFacts, Proof, Removal
    from asyncpipe.model.store import (
        ObjectInfo,
        OpenUpload,
        PartDigests,
        StoreCapabilities,
        StoredBytes,
        StoredPart,
        UploadHandle,
    )

Piece: TypeAlias = bytes | memoryview  # of an object, as it arrives; nobody overwrites it


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A child process to start: argv, its whole environment, its folder."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(repr=False)


class RunningProcess(Protocol):
    """A child that leads its own session and group; stdout and stderr share one stream."""

    @property
    def pid(self) -> int:
        """Process id, also the group id."""
        ...

    @property
    def return_code(self) -> int | None:
        """None while it runs; negative = killed by that signal."""
        ...

    async def receive(self) -> bytes:
        """Return the next bytes (at most 64 KiB) or ``b""`` at the end of the stream.

        The end may come long after the exit: a descendant can hold the pipe.
        """
        ...

    async def wait(self) -> int:
        """Wait for the exit of the leader only."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM to the leader; no error when it is gone."""
        ...

    def kill_group(self) -> None:
        """Send SIGKILL to the whole group; no error when it is gone."""
        ...

    def cut_writes(self, folder: Path) -> bool:
        """Let the group's further writes to files below ``folder`` fail; True when it had any open.

        A download that heeds no signal ends that way, and its owner cleans up.
        """
        ...

    def group_alive(self) -> bool:
        """Whether any process of the group still lives (zombies do not count)."""
        ...


class ProcessRunner(Protocol):
    """Starts children; leaving the context kills what is left of the group and closes the pipe."""

    def start(self, command: Command) -> AbstractAsyncContextManager[RunningProcess]:
        """Start ``command`` with stdin at /dev/null.

        Raises:
            UsageError: the program cannot be started.
        """
        ...


LOG_STALL_S: Final = 30.0  # a disk that takes longer for one call is given up
LOG_GRACE_S: Final = 1.0  # for a call that is under way when its caller is cancelled


class LogFile(Protocol):
    """An append-only file of ours (mode 0600), created exclusively.

    A disk may stall, so every call ends: with OSError (ETIMEDOUT) after ``LOG_STALL_S``, or
    ``LOG_GRACE_S`` after its caller was cancelled. What the disk took within that time counts: the
    call returns. Otherwise the file is given up, and later calls raise at once.
    """

    async def write(self, data: bytes) -> None:
        """Append all of ``data``; raises OSError when the disk refuses."""
        ...

    async def close(self) -> None:
        """Flush to disk (fsync) and close; idempotent; raises OSError."""
        ...


class LogFiles(Protocol):
    """Opens log files."""

    async def create(self, path: Path) -> LogFile:
        """Create ``path``; raises FileExistsError when it is there."""
        ...


class ObjectStore(Protocol):
    """A place for objects; keys are relative to its prefix, errors are UploadErrors.

    A part, a creation and a completion are tried once per call: their callers know what a
    repetition may do. Other small calls may be repeated by the store itself (`asyncpipe.retry`).
    """

    @property
    def url(self) -> str:
        """``s3://bucket/prefix/`` or ``file:///folder/``, ending in a slash."""
        ...

    @property
    def capabilities(self) -> StoreCapabilities:
        """What this endpoint honours."""
        ...

    def url_of(self, key: str) -> str:
        """The URL of an object, for people."""
        ...

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        create_only: bool = False,
        if_match: str | None = None,
    ) -> ObjectInfo:
        """Store a small object whole.

        Raises:
            DestinationTakenError: ``create_only`` and the key exists.
            ConflictError: ``if_match`` and the object is another one, or a race (409).
        """
        ...

    async def get(self, key: str, *, max_bytes: int) -> StoredBytes:
        """Read a small object whole; ObjectMissingError, ObjectTooLargeError."""
        ...

    def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Read an object in pieces, from ``offset_bytes`` on; ``size_bytes`` of it, or the rest."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Look at an object (with its checksum where the store returns it), None when absent."""
        ...

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in key order."""
        ...

    async def delete(self, key: str) -> None:
        """Remove one object; no error when absent."""
        ...

    async def create_upload(
        self, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> UploadHandle:
        """Begin a multipart upload."""
        ...

    async def upload_part(
        self,
        handle: UploadHandle,
        number: int,
        body: memoryview,
        digests: PartDigests,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> StoredPart:
        """Send one part without copying ``body``; ChecksumError when the store refuses the digest.

        ``progress`` is called in the event loop with the bytes that just left, several times per
        part; it must not block. An attempt that fails has counted bytes that are sent again.

        Raises:
            TransientStoreError: worth another attempt (SlowDownError, CredentialsExpiredError too).
            UploadMissingError: the upload is gone.
        """
        ...

    async def complete_upload(
        self,
        handle: UploadHandle,
        parts: Sequence[StoredPart],
        *,
        size_bytes: int,
        crc64nvme_base64: str,
        create_only: bool,
        timeout_s: float,
    ) -> ObjectInfo:
        """Make the object visible, once.

        Raises:
            DestinationTakenError, ConflictError, ChecksumError, UploadMissingError
            TransientStoreError: the outcome is not known; look at the object.
        """
        ...

    async def abort_upload(self, handle: UploadHandle) -> None:
        """Drop an upload; UploadMissingError when the store does not know it."""
        ...

    async def list_parts(self, handle: UploadHandle) -> Sequence[StoredPart]:
        """Every part the store has, in order; UploadMissingError."""
        ...

    async def list_uploads(self, prefix: str) -> Sequence[OpenUpload]:
        """Every open upload whose key begins with ``prefix``."""
        ...

    async def probe(self) -> None:
        """Prove that the destination is writable; AccessDeniedError, BucketMissingError."""
        ...


@runtime_checkable
class ReadsMany(Protocol):
    """A store for which many small objects are less work together than one by one."""

    async def get_many(
        self, keys: Sequence[str], *, max_bytes: int
    ) -> Sequence[bytes | UploadError]:
        """Read the first of ``keys``, at least one, and as many as memory has room for.

        An object that is missing or too large is an ObjectMissingError or ObjectTooLargeError in
        its place; whatever else fails is raised, as by ``ObjectStore.get``.
        """
        ...


class Reporter(Protocol):
    """Takes events; never blocks, never raises, whatever happens to the terminal."""

    def emit(self, event: Event) -> None:
        """Take one event."""
        ...


class Pool(Protocol):
    """An XCP-ng/XenServer pool after login; every call is bounded in time and raises HostErrors.

    Nothing that is not ours is ever changed: what removes wants a Proof. A disk's reference
    ("OpaqueRef:...") serves as its uuid.
    """

    async def facts(self) -> PoolFacts:
        """Look at the pool: role, storage, networks, clock."""
        ...

    async def vm(self, uuid: str) -> HostVm | None:
        """Return the VM or template of this uuid, None if it does not exist."""
        ...

    async def vms(self, *, name: str | None = None, run_id: str | None = None) -> Sequence[HostVm]:
        """VMs and templates of a name, of a run, or all; snapshots and dom0 are left out."""
        ...

    async def vdi(self, uuid: str) -> HostVdi | None:
        """Return the disk or ISO image of this uuid, None if it does not exist."""
        ...

    async def vdis(
        self, *, name: str | None = None, run_id: str | None = None
    ) -> Sequence[HostVdi]:
        """Disks and ISO images of a name, of a run, or all."""
        ...

    async def disks_of(self, vm_uuid: str) -> Sequence[HostVdi]:
        """The disks of a VM, without what is in its CD drive; HostMissingError."""
        ...

    async def marks(self) -> Sequence[Mark]:
        """Every mark of ours on a VM, disk or ISO image, whichever run made it."""
        ...

    async def mark_vm(self, uuid: str, mark: Mark) -> None:
        """Write on a VM and on its disks whose they are.

        Raises:
            HostMissingError: there is no such VM.
            NotOursError: another run's mark is there.
        """
        ...

    async def mark_vdi(self, uuid: str, mark: Mark) -> None:
        """Write on a disk or ISO image whose it is; HostMissingError, NotOursError."""
        ...

    async def end_tasks(self, vm_uuid: str, proof: Proof) -> bool:
        """Cancel what the host is doing with a VM (an export); True when nothing is left.

        Raises:
            NotOursError: the VM is not ours.
        """
        ...

    async def remove_vm(self, uuid: str, proof: Proof) -> Removal:
        """End a VM's tasks, switch it off, destroy it and its disks; no error when it is gone.

        Raises:
            NotOursError: the VM is not ours; nothing was touched.
        """
        ...

    async def remove_vdi(self, uuid: str, proof: Proof) -> Removal:
        """Destroy a disk or ISO image that no VM uses; no error when it is gone.

        Raises:
            NotOursError: it is not ours; nothing was touched.
        """
        ...

    async def console_url(self, vm_uuid: str) -> str | None:
        """Where the console of a running VM is, None when it has none."""
        ...
