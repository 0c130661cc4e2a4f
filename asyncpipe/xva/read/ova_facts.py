"""What ova.xml says once it was read, and the cross-checks that import makes on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from asyncpipe.text.safe import printable
from asyncpipe.xva.reject import RejectError

_MEMBER: Final = "ova.xml"
_LAST: Final = 1000  # of a disk whose position is not stated
_NO_IMAGE: Final = frozenset({"", "OpaqueRef:NULL", "NULL", "Ref:NULL"})
_VERSION_FIELDS: Final = (
    "hostname",
    "date",
    "product_version",
    "product_brand",
    "build_number",
    "xapi_major",
    "xapi_minor",
)


@dataclass(slots=True)
class OvaObject:
    """One entry of ``objects``: its class, its reference and the kept fields of its snapshot."""

    kind: str = ""
    reference: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredDisk:
    """A disk that must have data; ``reference`` is the folder of its chunks.

    ``position`` is where the VM has it (its VBD's ``userdevice``): 0 is what it boots from.
    """

    reference: str
    name: str
    virtual_size_bytes: int
    position: int = _LAST


@dataclass(frozen=True, slots=True)
class OvaFacts:
    """What ova.xml says, checked; disks are in the order in which import wants them."""

    disks: tuple[DeclaredDisk, ...]
    version: dict[str, str]
    vm: OvaObject
    networks: tuple[str, ...]
    loaded_drives: tuple[str, ...]  # the image in each CD drive that holds one

    @property
    def xapi_version(self) -> str:
        """``major.minor``: import refuses what is newer than the host."""
        return f"{int(self.version['xapi_major'])}.{int(self.version['xapi_minor'])}"

    def warnings(self) -> Iterator[tuple[str, str]]:
        """Codes and messages of what imports and may still surprise."""
        if not self.disks:
            message = "ova.xml declares no disks: a VM without any, or nothing to boot from"
            yield "no-disks", message
        for image in self.loaded_drives[:1]:
            shown = printable(image, 100)
            message = (
                f'a CD drive holds "{shown}", which the XVA does not carry: the VM does not start '
                "where that image is missing; eject it after the import (xe vm-cd-eject)"
            )
            yield "cd-in-drive", message


class OvaChecker:
    """The cross-checks that import makes before it reads the first chunk."""

    def __init__(
        self, version: dict[str, str], objects: list[OvaObject], offset_bytes: int
    ) -> None:
        self._version = version
        self._objects = objects
        self._offset_bytes = offset_bytes
        self._by_class: dict[str, dict[str, OvaObject]] = {}
        for entry in objects:
            self._by_class.setdefault(entry.kind, {})[entry.reference] = entry

    def facts(self) -> OvaFacts:
        """Return the facts; RejectError: ova-fields, ova-dangling, ova-export-vsn."""
        self._check_version()
        return OvaFacts(
            disks=self._disks(),
            version=self._version,
            vm=self._vm(),
            networks=self._networks(),
            loaded_drives=self._loaded_drives(),
        )

    def _reject(self, code: str, message: str) -> RejectError:
        return RejectError(code, self._offset_bytes, message, member=_MEMBER)

    def _check_version(self) -> None:
        missing = [name for name in _VERSION_FIELDS if name not in self._version]
        if missing:
            raise self._reject("ova-fields", f"ova.xml lacks version.{missing[0]}, import needs it")
        for name in ("xapi_major", "xapi_minor"):
            self._number(self._version[name], f"version.{name}")
        export_vsn = self._version.get("export_vsn", "0")
        if export_vsn != "2":
            raise self._reject(
                "ova-export-vsn",
                f'the export format is version "{printable(export_vsn, 20)}", only 2 can be read',
            )

    def _number(self, text: str, what: str) -> int:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            shown = printable(digits, 30)
            raise self._reject("ova-fields", f'ova.xml: {what} is "{shown}", not a number')
        return int(digits)

    def _vm(self) -> OvaObject:
        machines = list(self._by_class.get("VM", {}).values())
        if not machines:
            raise self._reject("ova-fields", "ova.xml describes no VM")
        plain = [vm for vm in machines if not _true(vm, "is_a_snapshot")]
        return next((vm for vm in plain if not _true(vm, "is_control_domain")), machines[0])

    def _disks(self) -> tuple[DeclaredDisk, ...]:
        found: dict[str, DeclaredDisk] = {}
        for vbd in self._by_class.get("VBD", {}).values():
            if vbd.fields.get("type") == "CD":
                continue
            vdi = self._follow("VBD", vbd, "VDI")
            if self._follow("VDI", vdi, "SR").fields.get("content_type") != "iso":
                found[vdi.reference] = self._disk(vdi, _position(vbd))
        for vdi in self._by_class.get("VDI", {}).values():
            if vdi.fields.get("type") == "suspend":
                found[vdi.reference] = self._disk(vdi)
        return tuple(sorted(found.values(), key=lambda disk: disk.reference.encode()))

    def _follow(self, kind: str, entry: OvaObject, to: str) -> OvaObject:
        reference = entry.fields.get(to, "").strip()
        target = self._by_class.get(to, {}).get(reference)
        if target is None:
            raise self._reject(
                "ova-dangling",
                f"ova.xml: {kind} {printable(entry.reference, 60)} names {to} "
                f'"{printable(reference, 60)}", which is not in the file',
            )
        return target

    def _disk(self, vdi: OvaObject, position: int = _LAST) -> DeclaredDisk:
        what = f"virtual_size of VDI {printable(vdi.reference, 60)}"
        size_bytes = self._number(vdi.fields.get("virtual_size", ""), what)
        if not size_bytes:
            raise self._reject("ova-fields", f"ova.xml: {what} is 0")
        name = vdi.fields.get("name_label", "")
        return DeclaredDisk(vdi.reference, name, size_bytes, position)

    def _loaded_drives(self) -> tuple[str, ...]:
        """The images by name, else by reference; an export describes them, without their data."""
        images = self._by_class.get("VDI", {})
        found: list[str] = []
        for vbd in self._by_class.get("VBD", {}).values():
            reference = vbd.fields.get("VDI", "").strip()
            if vbd.fields.get("type") != "CD" or _true(vbd, "empty") or reference in _NO_IMAGE:
                continue
            image = images.get(reference)
            found.append((image.fields.get("name_label") if image else "") or reference)
        return tuple(found)

    def _networks(self) -> tuple[str, ...]:
        networks = self._by_class.get("network", {})
        used = {
            vif.fields.get("network", "").strip() for vif in self._by_class.get("VIF", {}).values()
        }
        return tuple(
            network.fields.get("name_label", "")
            for reference, network in networks.items()
            if reference in used
        )


def _position(vbd: OvaObject) -> int:
    digits = vbd.fields.get("userdevice", "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 4 else _LAST


def _true(entry: OvaObject, name: str) -> bool:
    return entry.fields.get(name, "").strip() in {"1", "true"}
