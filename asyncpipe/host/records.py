"""XAPI's records -> our values (pure); a host's texts are bounded, absent fields have defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from asyncpipe.model.host import HostVdi, HostVm, Mark, PowerState, StorageRepository, mark_in
from asyncpipe.text.safe import printable

NULL: Final = "OpaqueRef:NULL"
_MAX_CHARS: Final = 500
Record = Mapping[str, Any]


def is_plain_vm(record: Record) -> bool:
    """Whether it is a VM or template that a person sees as one: no snapshot, no dom0."""
    return not (record.get("is_a_snapshot") or record.get("is_control_domain"))


def vm_of(record: Record) -> HostVm:
    """One VM record."""
    other_config = texts(record.get("other_config"))
    state = str(record.get("power_state", ""))
    return HostVm(
        uuid=text(record, "uuid"),
        name=text(record, "name_label"),
        description=text(record, "name_description"),
        power_state=PowerState(state) if state in set(PowerState) else PowerState.HALTED,
        is_template=bool(record.get("is_a_template")),
        mark=mark_in(other_config, text(record, "uuid")),
        other_config=other_config,
        operations=tuple(sorted(texts(record.get("current_operations")).values())),
    )


def mark_of(record: Record) -> Mark | None:
    """The mark on a VM or VDI record."""
    return mark_in(texts(record.get("other_config")), text(record, "uuid"))


def vdi_of(record: Record, storage: Record, used_by: tuple[str, ...]) -> HostVdi:
    """One VDI record, that of its repository, and the uuids of the VMs that have it."""
    return HostVdi(
        uuid=text(record, "uuid"),
        name=text(record, "name_label"),
        virtual_size_bytes=number(record, "virtual_size"),
        storage_uuid=text(storage, "uuid"),
        storage_name=text(storage, "name_label"),
        is_iso=storage.get("content_type") == "iso",
        mark=mark_of(record),
        used_by=used_by,
    )


def storage_of(record: Record, *, is_default: bool) -> StorageRepository:
    """One SR record; ``physical_utilisation`` is -1 where the backend cannot say."""
    size_bytes = number(record, "physical_size")
    return StorageRepository(
        uuid=text(record, "uuid"),
        name=text(record, "name_label"),
        content_type=text(record, "content_type"),
        size_bytes=size_bytes,
        free_bytes=max(0, size_bytes - max(0, number(record, "physical_utilisation"))),
        is_default=is_default,
        kind=text(record, "type"),
    )


def text(record: Record, name: str) -> str:
    """A field as bounded text, empty when absent."""
    return printable(str(record.get(name, "")), _MAX_CHARS)


def texts(value: object) -> dict[str, str]:
    """A map of XAPI; anything else counts as an empty one."""
    if not isinstance(value, Mapping):
        return {}
    return {str(key)[:_MAX_CHARS]: printable(str(one), _MAX_CHARS) for key, one in value.items()}


def number(record: Record, name: str) -> int:
    """A whole number, which XAPI writes as a string; anything else is 0."""
    digits = str(record.get(name, "0"))
    return int(digits) if digits.lstrip("-").isdecimal() and len(digits) < 20 else 0


def references(value: object) -> list[str]:
    """A set of references, without the null reference."""
    several = value if isinstance(value, list) else []
    return [str(one) for one in several if one != NULL]


def moment_of(value: object) -> datetime | None:
    """``20261123T17:00:00Z`` (xmlrpc's DateTime, any of XAPI's forms) as a moment in UTC."""
    digits = str(value).replace("-", "").replace(":", "").rstrip("Z").split(".")[0]
    try:
        return datetime.strptime(digits, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
