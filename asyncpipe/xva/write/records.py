"""Records of xapi's data model as a fresh XVA carries them: every field a 5.6 export has.

Hosts fill later fields up with defaults, but refuse a record that lacks one of these
(seen in a genuine export, ``docs/xva.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

NULL: Final = "OpaqueRef:NULL"
VM_REFERENCE: Final = "Ref:1"
SR_REFERENCE: Final = "Ref:2"


@dataclass(frozen=True, slots=True)
class Date:
    """An XML-RPC date, already formatted."""

    text: str


Value = str | int | bool | float | Date | Mapping[str, "Value"] | Sequence["Value"]
Record = dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSpec:
    """The VM to describe; names are free text without control characters."""

    name: str
    description: str = ""
    vcpus: int = 1
    memory_bytes: int = 1024**3
    firmware: str = "bios"  # or "uefi"
    is_template: bool = False
    networks: tuple[str, ...] = ()  # the name of the network of each interface


def disk_reference(index: int) -> str:
    """Return the folder of a disk's chunks; three digits keep the order of bytes and numbers."""
    return f"Ref:{100 + index}"


def vbd_reference(index: int) -> str:
    """Return the reference of a disk's connection to the VM."""
    return f"Ref:{200 + index}"


def vif_reference(index: int) -> str:
    """Return the reference of a network interface."""
    return f"Ref:{300 + index}"


def network_reference(index: int) -> str:
    """Return the reference of the network behind an interface."""
    return f"Ref:{400 + index}"


def _operations() -> Record:
    return {"allowed_operations": [], "current_operations": {}}


def _snapshots() -> Record:
    return {
        "is_a_snapshot": False,
        "snapshot_of": NULL,
        "snapshots": [],
        "snapshot_time": Date("19700101T00:00:00Z"),
    }


def _device(device: str) -> Record:
    return {
        "device": device,
        "VM": VM_REFERENCE,
        "other_config": {},
        "currently_attached": False,
        "status_code": 0,
        "status_detail": "",
        "runtime_properties": {},
        "qos_algorithm_type": "",
        "qos_algorithm_params": {},
        "qos_supported_algorithms": [],
        "metrics": NULL,
    }


def vm_record(vm: VmSpec, *, uuid: str, mac_seed: str, disk_count: int) -> Record:
    """Return the VM: HVM, halted, booting from its first disk."""
    return {
        "uuid": uuid,
        **_operations(),
        "power_state": "Halted",
        "name_label": vm.name,
        "name_description": vm.description,
        "user_version": 1,
        "is_a_template": vm.is_template,
        **_vm_machine(vm.vcpus, vm.memory_bytes),
        **_vm_boot(vm.firmware),
        **_vm_lifecycle(),
        **_snapshots(),
        "other_config": {"mac_seed": mac_seed, "install-methods": "cdrom"},
        "VIFs": [vif_reference(index) for index in range(len(vm.networks))],
        "VBDs": [vbd_reference(index) for index in range(disk_count)],
        "VTPMs": [],
    }


def _vm_machine(vcpus: int, memory_bytes: int) -> Record:
    return {
        "memory_overhead": 0,
        "memory_target": memory_bytes,
        "memory_static_max": memory_bytes,
        "memory_dynamic_max": memory_bytes,
        "memory_dynamic_min": memory_bytes,
        "memory_static_min": memory_bytes,
        "VCPUs_params": {},
        "VCPUs_max": vcpus,
        "VCPUs_at_startup": vcpus,
        "platform": {
            "timeoffset": "0",
            "nx": "true",
            "acpi": "1",
            "apic": "true",
            "pae": "true",
            "viridian": "true",
        },
        "PCI_bus": "",
        "domid": -1,
        "domarch": "",
        "last_boot_CPU_flags": {},
        "is_control_domain": False,
        "bios_strings": {},
    }


def _vm_boot(firmware: str) -> Record:
    # domain_type came after 5.6; hosts before it ignore what they do not know
    return {
        "PV_bootloader": "",
        "PV_kernel": "",
        "PV_ramdisk": "",
        "PV_args": "",
        "PV_bootloader_args": "",
        "PV_legacy_args": "",
        "HVM_boot_policy": "BIOS order",
        "HVM_boot_params": {"order": "cd", "firmware": firmware},
        "HVM_shadow_multiplier": 1.0,
        "domain_type": "hvm",
    }


def _vm_lifecycle() -> Record:
    return {
        "suspend_VDI": NULL,
        "resident_on": NULL,
        "affinity": NULL,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        "consoles": [],
        "crash_dumps": [],
        "metrics": NULL,
        "guest_metrics": NULL,
        "last_booted_record": "",
        "recommendations": "",
        "xenstore_data": {},
        "ha_always_run": False,
        "ha_restart_priority": "",
        "transportable_snapshot_id": "",
        "blobs": {},
        "tags": [],
        "blocked_operations": {},
        "snapshot_info": {},
        "snapshot_metadata": "",
        "parent": NULL,
        "children": [],
    }


def vbd_record(index: int, *, uuid: str) -> Record:
    """Return the connection of disk ``index``; the first one boots."""
    return {
        "uuid": uuid,
        **_operations(),
        **_device(f"xvd{chr(ord('a') + index)}"),
        "VDI": disk_reference(index),
        "userdevice": str(index),
        "bootable": index == 0,
        "mode": "RW",
        "type": "Disk",
        "unpluggable": index > 0,
        "storage_lock": False,
        "empty": False,
    }


def vdi_record(index: int, *, uuid: str, name: str, virtual_size_bytes: int) -> Record:
    """Return disk ``index``."""
    return {
        "uuid": uuid,
        **_operations(),
        **_snapshots(),
        "name_label": name,
        "name_description": "",
        "SR": SR_REFERENCE,
        "VBDs": [vbd_reference(index)],
        "crash_dumps": [],
        "virtual_size": virtual_size_bytes,
        "physical_utilisation": virtual_size_bytes,
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
        "storage_lock": False,
        "location": uuid,
        "managed": True,
        "missing": False,
        "parent": NULL,
        "xenstore_data": {},
        "sm_config": {},
        "tags": [],
    }


def sr_record(*, uuid: str, disk_count: int) -> Record:
    """Return the storage that the disks came from; import replaces it by the target's."""
    return {
        "uuid": uuid,
        **_operations(),
        "name_label": "asyncpipe",
        "name_description": "",
        "VDIs": [disk_reference(index) for index in range(disk_count)],
        "PBDs": [],
        "virtual_allocation": 0,
        "physical_utilisation": 0,
        "physical_size": 0,
        "type": "file",
        "content_type": "user",
        "shared": False,
        "other_config": {},
        "tags": [],
        "sm_config": {},
        "blobs": {},
    }


def vif_record(index: int, *, uuid: str, mac: str) -> Record:
    """Return network interface ``index``; import makes a new address unless it restores."""
    return {
        "uuid": uuid,
        **_operations(),
        **_device(str(index)),
        "network": network_reference(index),
        "MAC": mac,
        "MTU": 0,
        "MAC_autogenerated": True,
    }


def network_record(index: int, *, uuid: str, name: str) -> Record:
    """Return the network behind interface ``index``; import looks for one of that name."""
    return {
        "uuid": uuid,
        **_operations(),
        "name_label": name,
        "name_description": "",
        "VIFs": [vif_reference(index)],
        "PIFs": [],
        "MTU": 1500,
        "other_config": {},
        "bridge": f"xenbr{index}",
        "blobs": {},
        "tags": [],
    }
