"""What asyncpipe knows of an XCP-ng/XenServer pool: virtual machines, disks, storage, its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from asyncpipe.model.run import Trust

# Keys of other_config, and the tag, by which everything of ours is recognised.
RUN_KEY: Final = "asyncpipe:run"
UNIT_KEY: Final = "asyncpipe:unit"
SELF_KEY: Final = "asyncpipe:self"  # its own uuid: a clone or an import that copied it is not ours
KEEP_UNTIL_KEY: Final = "asyncpipe:keep_until"
MACHINE_KEY: Final = "asyncpipe:machine"
SINCE_KEY: Final = "asyncpipe:since"
IMPORT_TASK_KEY: Final = "import_task"  # XAPI's own, on a VM that an import makes: its task
FOR_GOOD: Final = "99991231T235959Z"  # of a mark's keep_until_utc: nothing of ours removes it
ORIGIN_KEY: Final = "asyncpipe:origin"
VERSION_KEY: Final = "asyncpipe:version"
DIGEST_KEY: Final = "asyncpipe:sha256"
TAG: Final = "asyncpipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAccess:
    """Where a host is, who logs in, and how it is trusted."""

    address: str  # name or IP address, with :port where it is not 443
    username: str
    password: str = field(repr=False)
    trust: Trust = field(default_factory=Trust)
    ssh_port: int = 22  # of dom0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What makes a VM or a disk ours."""

    run_id: str
    unit: str
    keep_until_utc: str | None = None  # 20261123T170000Z: ``reap`` leaves it alone until then
    machine: str = ""  # the name of the machine that the build runs on, for people
    since_utc: str | None = None  # 20261123T170000Z: when that build began


class PowerState(StrEnum):
    """XAPI's power states."""

    HALTED = "Halted"
    PAUSED = "Paused"
    RUNNING = "Running"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostVm:
    """One VM or template."""

    uuid: str
    name: str
    power_state: PowerState = PowerState.HALTED
    is_template: bool = False
    description: str = ""
    mark: Mark | None = None
    other_config: Mapping[str, str] = field(default_factory=dict)
    operations: tuple[str, ...] = ()  # what the host is doing with it: "export", "import" ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HostVdi:
    """One virtual disk or ISO image."""

    uuid: str
    name: str
    virtual_size_bytes: int
    storage_uuid: str = ""
    storage_name: str = ""
    is_iso: bool = False  # on a repository of ISO images
    mark: Mark | None = None
    used_by: tuple[str, ...] = ()  # uuids of the VMs that have it


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRepository:
    """One storage repository (SR)."""

    uuid: str
    name: str
    content_type: str  # "user", "iso" ...
    size_bytes: int
    free_bytes: int
    is_default: bool = False
    kind: str = ""  # "ext", "lvm", "nfs" ...

    @property
    def is_thin(self) -> bool:
        """Whether a disk takes only what is written to it."""
        return not self.kind.startswith("lvm")

    @property
    def is_iso(self) -> bool:
        """Whether it holds ISO images rather than disks."""
        return self.content_type == "iso"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """What was found on the pool."""

    asked: str  # the address that was asked for
    master: str  # the address of the master, which answers
    host_name: str
    product: str  # "XCP-ng 8.3.0"
    xapi_version: str  # "1.20"
    clock_offset_s: float  # how far the host's clock is ahead of ours
    permissions: frozenset[str] | None  # of the role, lower case; None: all of them
    storage: tuple[StorageRepository, ...] = ()
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Why a VM or disk counts as ours: its mark names ``run_id``, or the journal does.

    A mark of another run always wins over the journal.
    """

    run_id: str
    journalled: bool = False  # the run's own record names this uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """Something of ours that could not be removed."""

    kind: str  # "VM" or "VDI"
    uuid: str
    name: str
    reason: str

    @property
    def command(self) -> str:
        """What a person types on the host to remove it."""
        return f"xe {'vm-destroy' if self.kind == 'VM' else 'vdi-destroy'} uuid={self.uuid}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} ({self.uuid}): {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a clean-up removed and what remains; both empty: it was gone already."""

    removed_uuids: tuple[str, ...] = ()
    freed_bytes: int = 0  # virtual size of the disks removed
    remaining: tuple[Remaining, ...] = ()


def marked(mark: Mark, uuid: str) -> dict[str, str]:
    """The entries of other_config that say whose the VM or disk ``uuid`` is."""
    more = {
        KEEP_UNTIL_KEY: mark.keep_until_utc,
        MACHINE_KEY: mark.machine,
        SINCE_KEY: mark.since_utc,
    }
    entries = {RUN_KEY: mark.run_id, UNIT_KEY: mark.unit, SELF_KEY: uuid}
    return entries | {key: value for key, value in more.items() if value}


def mark_in(other_config: Mapping[str, str], uuid: str) -> Mark | None:
    """Read the mark of ``uuid`` back; None when nothing says that it is ours.

    Clones and imports copy other_config: a mark counts on the VM or disk that it was written on.
    """
    run_id = other_config.get(RUN_KEY)
    if not run_id or other_config.get(SELF_KEY) != uuid:
        return None
    return Mark(
        run_id=run_id,
        unit=other_config.get(UNIT_KEY, ""),
        keep_until_utc=other_config.get(KEEP_UNTIL_KEY) or None,
        machine=other_config.get(MACHINE_KEY, ""),
        since_utc=other_config.get(SINCE_KEY) or None,
    )
