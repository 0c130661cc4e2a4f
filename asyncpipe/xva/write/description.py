"""The ova.xml that the writer puts first: one VM, its disks, one SR, its networks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from asyncpipe.errors import UsageError
from asyncpipe.text.safe import printable
from asyncpipe.xva.write import records
from asyncpipe.xva.write.records import Date, Record, Value, VmSpec

MAX_DISKS: Final = 16  # as many as a VM can have on every supported host
_UUIDS: Final = uuid.UUID("6d0c9a5e-6c39-5f0e-9b0e-5b1f1f9a4c11")  # our namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """A disk as ova.xml declares it; ``virtual_size_bytes`` is a multiple of 512."""

    name: str
    virtual_size_bytes: int


def ova_xml(vm: VmSpec, disks: Sequence[DiskSpec], *, date_utc: str) -> bytes:
    """Return ova.xml; the same arguments give the same bytes.

    Raises:
        UsageError: a name that XML cannot hold, a size or number that cannot be.
    """
    _check(vm, disks)
    return _value({"version": _version(date_utc), "objects": _objects(vm, disks)}).encode()


def _check(vm: VmSpec, disks: Sequence[DiskSpec]) -> None:
    for text in (vm.name, vm.description, *vm.networks, *(disk.name for disk in disks)):
        if not all(_is_xml(character) for character in text):
            raise UsageError(
                f'The name "{printable(text, 60)}" holds characters that XML cannot carry.',
                hint="Use printable characters.",
            )
    if not vm.name.strip():
        raise UsageError("The VM needs a name.")
    if vm.vcpus < 1 or vm.memory_bytes < 1 or vm.firmware not in {"bios", "uefi"}:
        raise UsageError("A VM needs a vCPU, some memory, and bios or uefi as its firmware.")
    if len(disks) > MAX_DISKS:
        raise UsageError(f"{len(disks)} disks are more than the {MAX_DISKS} that a VM can have.")


def _is_xml(character: str) -> bool:
    code = ord(character)  # XML 1.0, production 2; carriage returns would come back as newlines
    return code >= 0x20 and not 0xD800 <= code < 0xE000 and code not in {0xFFFE, 0xFFFF}


def _version(date_utc: str) -> Record:
    # the numbers of 8.2: low enough for every host that reads XXH64 checksums at all
    return {
        "hostname": "localhost",
        "date": date_utc,
        "product_version": "8.2.1",
        "product_brand": "XCP-ng",
        "build_number": "asyncpipe",
        "xapi_major": 1,
        "xapi_minor": 20,
        "export_vsn": 2,
    }


def _objects(vm: VmSpec, disks: Sequence[DiskSpec]) -> list[Value]:
    seed = "/".join([vm.name, *(str(disk.virtual_size_bytes) for disk in disks)])

    def identity(what: str) -> uuid.UUID:
        return uuid.uuid5(_UUIDS, f"{seed}/{what}")

    machine = records.vm_record(
        vm, uuid=str(identity("vm")), mac_seed=str(identity("mac")), disk_count=len(disks)
    )
    objects: list[Value] = [_object("VM", records.VM_REFERENCE, machine)]
    for index in range(len(disks)):
        vbd = records.vbd_record(index, uuid=str(identity(f"vbd{index}")))
        objects.append(_object("VBD", records.vbd_reference(index), vbd))
    for index, network in enumerate(vm.networks):
        objects.extend(_network_objects(index, network, identity(f"network{index}")))
    for index, disk in enumerate(disks):
        objects.append(_disk_object(index, disk, identity(f"vdi{index}")))
    storage = records.sr_record(uuid=str(identity("sr")), disk_count=len(disks))
    return [*objects, _object("SR", records.SR_REFERENCE, storage)]


def _network_objects(index: int, name: str, identity: uuid.UUID) -> list[Value]:
    octets = bytes([0x02, *identity.bytes[-5:]])  # 02: locally administered, unicast
    mac = ":".join(f"{octet:02x}" for octet in octets)
    vif = records.vif_record(index, uuid=str(uuid.uuid5(identity, "vif")), mac=mac)
    network = records.network_record(index, uuid=str(identity), name=name)
    return [
        _object("VIF", records.vif_reference(index), vif),
        _object("network", records.network_reference(index), network),
    ]


def _disk_object(index: int, disk: DiskSpec, identity: uuid.UUID) -> Record:
    vdi = records.vdi_record(
        index, uuid=str(identity), name=disk.name, virtual_size_bytes=disk.virtual_size_bytes
    )
    return _object("VDI", records.disk_reference(index), vdi)


def _object(kind: str, reference: str, snapshot: Record) -> Record:
    return {"class": kind, "id": reference, "snapshot": snapshot}


def _value(value: Value) -> str:
    """Write a value as xapi does: strings and integers bare, nothing pretty-printed."""
    if isinstance(value, Mapping):
        members = "".join(
            f"<member><name>{escape(name)}</name>{_value(item)}</member>"
            for name, item in value.items()
        )
        return f"<value><struct>{members}</struct></value>"
    return f"<value>{_scalar(value)}</value>" if value != "" else "<value/>"


def _scalar(value: str | float | Date | Sequence[Value]) -> str:
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    if isinstance(value, float):
        return f"<double>{value:g}</double>"
    if isinstance(value, Date):
        return f"<dateTime.iso8601>{value.text}</dateTime.iso8601>"
    if isinstance(value, str | int):
        return escape(str(value))
    return f"<array><data>{''.join(_value(item) for item in value)}</data></array>"
