"""The handlers that move bulk data: /export, /import, /import_raw_vdi."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from asyncpipe.xva.read.validator import XvaValidator
from tests.xapi_standin.calls import Calls
from tests.xapi_standin.faults import Export, Faults, Import
from tests.xapi_standin.state import State, XapiError

PIECE_BYTES = 64 * 1024
KEPT_BYTES = 8 * 1024 * 1024  # larger images are not looked at by anybody
RFB_GREETING = b"RFB 003.003\n"  # RFC 6143, 7.1.1
ERROR_PAGE = (
    b"HTTP/1.1 500 Internal Error\r\nconnection: close\r\n\r\n"
    b"<html><body><h1>HTTP 500 internal server error</h1>SR_BACKEND_FAILURE_46</body></html>"
)


class CutError(Exception):
    """The connection is cut on purpose, or by the other side."""


class Incoming(Protocol):
    """Where a body comes from."""

    def read1(self, size: int, /) -> bytes: ...


@dataclass(slots=True, kw_only=True)
class Transfers:
    """Moves bulk data, with tasks as XAPI does."""

    state: State
    calls: Calls
    faults: Faults
    image: Callable[[bool], bytes]  # what an export sends, gzipped or not

    # -- export ------------------------------------------------------------------------------

    def export(self, query: dict[str, str]) -> Iterator[bytes]:
        """The bytes of an export; the VM is busy meanwhile. XapiError before the first byte."""
        vm = query.get("ref") or self.state.by_uuid("VM", query.get("uuid", ""))
        task = query.get("task_id") or self.calls.new_task("Export of a VM")
        record = self.state.raw("VM", vm)
        if record["power_state"] != "Halted":
            raise XapiError("VM_BAD_POWER_STATE", vm, "halted", record["power_state"].lower())
        record["current_operations"][task] = "export"
        try:
            yield from self._exported(task, self.image(query.get("use_compression") == "true"))
            self._done(task)
        finally:
            record["current_operations"].pop(task, None)
            self.state.tables["task"].pop(task, None)

    def _exported(self, task: str, data: bytes) -> Iterator[bytes]:
        kind, at_bytes = self.faults.export, self.faults.at_bytes
        for at in range(0, len(data), PIECE_BYTES):
            self._pause(task, kind is Export.SLOW)
            if at >= at_bytes and kind is Export.CUT:
                raise CutError
            if at >= at_bytes and kind is Export.ERROR_INSIDE:
                yield ERROR_PAGE
                return
            while at >= at_bytes and self.faults.export is Export.STALLED:
                self._pause(task, slow=True)
            yield data[at : at + PIECE_BYTES]

    def _pause(self, task: str, slow: bool) -> None:
        if slow:
            self.faults.closing.wait(min(0.2, PIECE_BYTES / self.faults.bytes_per_s))
        if self.faults.closing.is_set():
            raise CutError
        if task in self.state.cancelled and not self.faults.keeps_vms:
            raise CutError

    # -- import ------------------------------------------------------------------------------

    def import_vm(self, query: dict[str, str], body: Incoming, size_bytes: int) -> None:
        """Take an XVA, judge it, make its VM; the task tells how it went, as in XAPI."""
        task = query.get("task_id") or self.calls.new_task("VM.import")
        storage = query.get("sr_id") or self.state.raw(
            "pool", next(iter(self.state.tables["pool"]))
        ).get("default_SR")
        self.state.raw("SR", storage)
        importing = _Importing(state=self.state, task=task, storage=str(storage))
        try:
            self._received(importing, body, size_bytes)
            self._succeed(task, importing.finish(lax=self.faults.lax_import))
        except _RestartError:
            self.state.tables["task"].clear()
            for vm in self.state.tables["VM"].values():
                vm["current_operations"].clear()
            self.state.tables["session"].clear()
            raise CutError from None
        except XapiError as error:
            importing.clean_up()
            self._fail(task, error)
        except CutError:
            importing.clean_up()
            self._fail(task, XapiError("IMPORT_ERROR_PREMATURE_EOF"))
            raise

    def _received(self, importing: _Importing, body: Incoming, size_bytes: int) -> None:
        done = 0
        while done < size_bytes:
            piece = body.read1(min(1024 * 1024, size_bytes - done))
            done += len(piece)
            self._break(importing.task, done)
            if not piece:
                raise CutError
            importing.feed(piece)
            if self.faults.lax_import and importing.complete:
                return
            if importing.task in self.state.cancelled:
                raise XapiError("TASK_CANCELLED", importing.task)
            self._progress(importing.task, done / size_bytes)

    def _break(self, task: str, done: int) -> None:
        kind, beyond = self.faults.import_, done >= self.faults.at_bytes
        if kind is Import.SLOW:
            self.faults.closing.wait(0.002)
        while beyond and self.faults.import_ is Import.STALLED:
            if self.faults.closing.wait(0.05):
                raise CutError
            if task in self.state.cancelled:
                raise XapiError("TASK_CANCELLED", task)
        if beyond and kind is Import.CUT:
            raise CutError
        if beyond and kind is Import.RESTARTED:
            raise _RestartError

    def import_raw_vdi(self, query: dict[str, str], body: Incoming, size_bytes: int) -> None:
        """Take an ISO; a broken upload leaves its VDI, as in XAPI."""
        vdi = self.state.raw("VDI", query.get("vdi", ""))
        if size_bytes > int(vdi["virtual_size"]):
            raise XapiError("VDI_TOO_SMALL", query["vdi"])
        content = bytearray()
        while len(content) < size_bytes:
            piece = body.read1(min(PIECE_BYTES, size_bytes - len(content)))
            content += piece
            if not piece:
                raise CutError
        if size_bytes <= KEPT_BYTES:
            self.state.contents[query["vdi"]] = bytes(content)
        if task := query.get("task_id"):
            self._succeed(task, [])

    # -- tasks -------------------------------------------------------------------------------

    def _progress(self, task: str, share: float) -> None:
        if record := self.state.tables["task"].get(task):
            record["progress"] = share

    def _succeed(self, task: str, vms: list[str]) -> None:
        values = "".join(f"<value>{vm}</value>" for vm in vms)
        self._done(task, f"<value><array><data>{values}</data></array></value>")

    def _done(self, task: str, result: str = "") -> None:
        if record := self.state.tables["task"].get(task):
            record.update(status="success", progress=1.0, result=result)

    def _fail(self, task: str, error: XapiError) -> None:
        if record := self.state.tables["task"].get(task):
            cancelled = error.description[0] == "TASK_CANCELLED"
            status = "cancelled" if cancelled else "failure"
            record.update(status=status, error_info=list(error.description))


class _RestartError(Exception):
    """The toolstack restarts in the middle."""


class _Importing:
    """One import: the VM is there, busy, as soon as ova.xml was read."""

    def __init__(self, *, state: State, task: str, storage: str) -> None:
        self._state = state
        self.task = task
        self._storage = storage
        self._validator = XvaValidator()
        self._name = ""
        self.vm: str | None = None
        self.disks: list[str] = []

    def feed(self, piece: bytes) -> None:
        self._validator.feed(piece)
        if self.vm is None and self._validator.facts is not None:
            self._create(self._validator.facts)
        if self._validator.rejected:
            raise XapiError("IMPORT_ERROR", str(self._validator.finish().rejection))

    @property
    def complete(self) -> bool:
        """Whether every chunk and its checksum came."""
        disks = self._validator._archive.sequence.disks if self.vm else []
        return bool(disks) and all(disk.complete for disk in disks)

    def finish(self, *, lax: bool) -> list[str]:
        report = self._validator.finish()
        if (report.rejection is not None and not lax) or self.vm is None:
            raise XapiError("IMPORT_ERROR", str(report.rejection))
        self._state.raw("VM", self.vm)["current_operations"].clear()
        return [self.vm]

    def _create(self, facts: Any) -> None:
        with self._state.lock:
            self.vm = self._state.add_vm(
                name_label=facts.vm.fields.get("name_label", ""),
                other_config={"import_task": self.task},
                current_operations={self.task: "import"},
            )
            for number, disk in enumerate(facts.disks):
                size_bytes = disk.virtual_size_bytes
                vdi = self._state.add_vdi(
                    self._storage, name_label=disk.name, virtual_size=size_bytes
                )
                self.disks.append(vdi)
                fields = {"VM": self.vm, "VDI": vdi, "type": "Disk", "userdevice": str(number)}
                self._state.add("VBD", **fields)
            for device, name in enumerate(facts.networks):
                found = self._state.where("network", "name_label", name)
                network = found[0] if found else next(iter(self._state.tables["network"]))
                fields = {
                    "VM": self.vm,
                    "network": network,
                    "device": str(device),
                    "MAC": "",
                    "MTU": "1500",
                }
                self._state.add("VIF", **fields)

    def clean_up(self) -> None:
        with self._state.lock:
            for vdi in self.disks:
                self._state.tables["VDI"].pop(vdi, None)
            if self.vm in self._state.tables["VM"]:
                self._state.destroy_vm(self.vm)
