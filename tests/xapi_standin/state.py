"""What a stand-in's pool holds: XAPI's tables, references and their relations."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

GIB = 1024**3
NULL = "OpaqueRef:NULL"
Record = dict[str, Any]


class XapiError(Exception):
    """An ErrorDescription."""

    def __init__(self, *description: str) -> None:
        super().__init__(*description)
        self.description = description


CLASSES = (
    "pool", "host", "SR", "VDI", "VM", "VBD", "VIF", "network", "PIF", "task", "console",
    "VM_guest_metrics", "session",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Boot:
    """What becomes of each VM that is started."""

    networks: Record = field(default_factory=lambda: {"0/ip": "127.0.0.1"})
    has_agent: bool = True  # whether anything of the guest is reported
    restarts: bool = False  # each look at the running VM finds it started anew
    halts: bool = False  # a look at the running VM finds it off
    heeds_shutdown: bool = True


@dataclass(slots=True, kw_only=True)
class State:
    """One pool with one host; every table is reference -> record."""

    address: str = "127.0.0.1"
    port: int = 443  # a real console is always there
    lock: threading.RLock = field(default_factory=threading.RLock)
    tables: dict[str, dict[str, Record]] = field(
        default_factory=lambda: {name: {} for name in CLASSES}
    )
    cancelled: set[str] = field(default_factory=set)  # tasks
    clock_offset_s: float = 0.0
    permissions: tuple[str, ...] | None = None  # None: root
    boot: Boot = field(default_factory=Boot)
    contents: dict[str, bytes] = field(default_factory=dict)  # of disks that /import_raw_vdi wrote

    def add(self, kind: str, **fields: Any) -> str:
        """Make a record; returns its reference."""
        ref = f"OpaqueRef:{uuid.uuid4()}"
        # a client may send a whole record: what XAPI decides itself is not taken from it
        given = {name: value for name, value in fields.items() if name != "uuid" or value}
        record = {"uuid": str(uuid.uuid4()), "other_config": {}, **given}
        with self.lock:
            self.tables[kind][ref] = record
        return ref

    def raw(self, kind: str, ref: object) -> Record:
        """The record itself; HANDLE_INVALID when there is none."""
        found = self.tables[kind].get(str(ref))
        if found is None:
            raise XapiError("HANDLE_INVALID", kind, str(ref))
        return found

    def view(self, kind: str, ref: str) -> Record:
        """The record as XAPI shows it: with the sets that are kept on the other side."""
        if kind == "VM":
            self._live(ref)
        record = dict(self.raw(kind, ref))
        if kind == "VM":
            record["VBDs"] = self.where("VBD", "VM", ref)
            record["VIFs"] = self.where("VIF", "VM", ref)
        elif kind == "VDI":
            record["VBDs"] = self.where("VBD", "VDI", ref)
        elif kind == "SR":
            record["VDIs"] = self.where("VDI", "SR", ref)
            record.pop("other_bytes", None)
            record["physical_utilisation"] = str(self.used_bytes(ref))
        return record

    def _live(self, ref: str) -> None:
        """Let a VM that runs restart, or switch itself off."""
        vm = self.raw("VM", ref)
        if vm["power_state"] == "Running" and not vm["is_control_domain"]:
            if self.boot.restarts:
                vm["domid"] = str(int(vm["domid"]) + 1)
            if self.boot.halts:
                vm.update(power_state="Halted", domid="-1")

    def where(self, kind: str, name: str, value: object) -> list[str]:
        """References of the records with a value in a field."""
        return [ref for ref, one in self.tables[kind].items() if one.get(name) == value]

    def by_uuid(self, kind: str, wanted: str) -> str:
        """A reference; UUID_INVALID when there is none."""
        found = self.where(kind, "uuid", wanted)
        if not found:
            raise XapiError("UUID_INVALID", kind, wanted)
        return found[0]

    def used_bytes(self, storage: str) -> int:
        """What the disks on a repository take, and what else lies there."""
        disks = (self.raw("VDI", ref) for ref in self.where("VDI", "SR", storage))
        return int(self.raw("SR", storage).get("other_bytes", 0)) + sum(
            int(one["virtual_size"]) for one in disks
        )

    def add_vdi(self, storage: str, **fields: Any) -> str:
        """Make a disk, if its repository has room."""
        record = self.raw("SR", storage)
        size_bytes = int(fields["virtual_size"])
        with self.lock:
            if self.used_bytes(storage) + size_bytes > int(record["physical_size"]):
                raise XapiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
            base = {"name_label": "", "name_description": "", "tags": [], "type": "user"}
            return self.add(
                "VDI", SR=storage, **{**base, **fields, "virtual_size": str(size_bytes)}
            )

    def add_vm(self, **fields: Any) -> str:
        """Make a VM, halted."""
        base: Record = {
            "name_label": "",
            "name_description": "",
            "power_state": "Halted",
            "is_a_template": False,
            "is_default_template": False,
            "is_a_snapshot": False,
            "is_control_domain": False,
            "tags": [],
            "current_operations": {},
            "resident_on": NULL,
            "guest_metrics": NULL,
            "consoles": [],
            "platform": {},
            "domid": "-1",
            "memory_static_max": str(GIB),
            "VCPUs_max": "1",
            "VCPUs_at_startup": "1",
            "HVM_boot_policy": "BIOS order",
            "HVM_boot_params": {},
        }
        return self.add("VM", **{**base, **fields})

    def add_vm_with_disk(self, name: str, *, storage: str, size_bytes: int, **fields: Any) -> str:
        """Make a VM with one disk; returns its reference."""
        vm = self.add_vm(name_label=name, **fields)
        disk = self.add_vdi(storage, name_label=f"{name} disk", virtual_size=size_bytes)
        self.add("VBD", VM=vm, VDI=disk, type="Disk", userdevice="0", mode="RW")
        return vm

    def destroy_vm(self, ref: str) -> None:
        """Remove a VM with its VBDs and VIFs; its disks stay, as in XAPI."""
        self.raw("VM", ref)
        for kind in ("VBD", "VIF"):
            for one in self.where(kind, "VM", ref):
                del self.tables[kind][one]
        del self.tables["VM"][ref]

    def uuid_of(self, kind: str, ref: str) -> str:
        """The uuid of a record."""
        return str(self.raw(kind, ref)["uuid"])


def furnished(address: str) -> State:
    """A pool as the installer leaves it: two repositories, a network, default templates."""
    state = State(address=address)
    add = state.add
    host = add(
        "host",
        name_label="xcp-standin",
        address=address,
        enabled=True,
        software_version={"product_version": "8.3.0", "product_brand": "XCP-ng"},
        API_version_major="2",
        API_version_minor="21",
    )
    disks = add(
        "SR",
        name_label="Local storage",
        content_type="user",
        type="ext",
        physical_size=str(100 * GIB),
    )
    add("SR", name_label="ISO images", content_type="iso", type="iso", physical_size=str(50 * GIB))
    add("pool", name_label="standin", master=host, default_SR=disks)
    network = add("network", name_label="Pool-wide network associated with eth0", tags=[])
    add("PIF", management=True, network=network, device="eth0", host=host)
    for name in ("Other install media", "Debian Bookworm 12"):
        state.add_vm(
            name_label=name,
            is_a_template=True,
            is_default_template=True,
            platform={"acpi": "1", "apic": "true", "pae": "true", "nx": "true", "viridian": "true"},
            other_config={"disks": "<provision/>"},
        )
    state.add_vm(name_label="Control domain on host", is_control_domain=True, power_state="Running")
    return state
