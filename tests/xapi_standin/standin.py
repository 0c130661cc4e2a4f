"""A running stand-in as a test sees it: where it is, what it holds, what it was asked."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.xapi_standin.faults import Faults
from tests.xapi_standin.state import Record, State, XapiError
from tests.xapi_standin.transfers import Transfers


@dataclass(slots=True, kw_only=True)
class XapiStandIn:
    """A running stand-in."""

    address: str  # 127.0.0.1:PORT
    username: str
    password: str
    ca_file: Path
    fingerprint: str
    state: State
    faults: Faults
    transfers: Transfers
    calls: list[tuple[str, list[Any]]] = field(default_factory=list)  # without sessions
    redirect: str | None = None  # where /import sends its clients
    on_call: Callable[[str], None] | None = None  # a test's own hook, before the call is answered

    def log(self, method: str, arguments: list[Any]) -> None:
        """Remember a call."""
        self.calls.append((method, arguments))
        if self.on_call is not None:
            self.on_call(method)

    @contextlib.contextmanager
    def at_work(self, method: str, arguments: list[Any]) -> Iterator[None]:
        """Show a start of a VM as its operation while it waits; ended, it fails.

        One whose client has gone goes on, as in XAPI.
        """
        vm = self.state.tables["VM"].get(str(arguments[1])) if method == "VM.start" else None
        if vm is None:
            yield
            return
        task = self.transfers.calls.new_task("VM.start")
        vm["current_operations"][task] = "start"
        try:
            yield
        finally:
            vm["current_operations"].pop(task, None)
            self.state.tables["task"].pop(task, None)
        if task in self.state.cancelled and self.faults.heeds_cancel:
            raise XapiError("TASK_CANCELLED", task)

    @property
    def environment(self) -> dict[str, str]:
        """What a build or an import needs to reach it."""
        return {
            "PKR_VAR_remote_host": self.address,
            "PKR_VAR_remote_username": self.username,
            "PKR_VAR_remote_password": self.password,
            "ASYNCPIPE_HOST": self.address,
            "ASYNCPIPE_HOST_USER": self.username,
            "ASYNCPIPE_HOST_PASSWORD": self.password,
            "ASYNCPIPE_HOST_CA": str(self.ca_file),
        }

    def made(self, kind: str) -> list[str]:
        """The calls of one method."""
        return [method for method, _ in self.calls if method == kind]

    def ref(self, kind: str, name: str) -> str:
        """The reference of the record of this name."""
        with self.state.lock:
            (found,) = self.state.where(kind, "name_label", name)
        return found

    def record(self, kind: str, name: str) -> Record:
        """The record of this name."""
        return self.state.raw(kind, self.ref(kind, name))

    def vms(self) -> list[str]:
        """Names of the VMs and templates that the installer did not make."""
        with self.state.lock:
            return sorted(
                vm["name_label"]
                for vm in self.state.tables["VM"].values()
                if not (vm["is_default_template"] or vm["is_control_domain"])
            )

    def vdis(self) -> list[str]:
        """Names of all disks and ISO images."""
        with self.state.lock:
            return sorted(vdi["name_label"] for vdi in self.state.tables["VDI"].values())

    def left(self) -> dict[str, int]:
        """How many records are there of what a boot test makes; no empty kinds."""
        with self.state.lock:
            kinds = ("VDI", "VBD", "VIF", "task", "session")
            counts = {kind: len(self.state.tables[kind]) for kind in kinds}
        return {kind: count for kind, count in {"VM": len(self.vms()), **counts}.items() if count}

    def sessions(self) -> int:
        """Sessions that nobody ended."""
        with self.state.lock:
            return len(self.state.tables["session"])

    def has_console(self, query: dict[str, str]) -> bool:
        """Whether it is the console of a VM that runs; by uuid or reference of console or VM."""
        with self.state.lock:
            for ref, console in self.state.tables["console"].items():
                vm = self.state.tables["VM"].get(console["VM"], {})
                if vm.get("power_state") not in {"Running", "Paused"}:
                    continue
                names = {"ref": {ref, console["VM"]}, "uuid": {console["uuid"], vm["uuid"]}}
                if any(query.get(key) in values for key, values in names.items()):
                    return True
        return False

    def console_greeting(self, location: str) -> bytes:
        """What a VNC viewer reads first at a console's location; it logs in as the plugin does."""
        parts = urlsplit(location)
        session = self.state.add("session")
        context = ssl.create_default_context(cafile=self.ca_file)
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), 30) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as tls,
            tls.makefile("rb") as answer,
        ):
            tls.sendall(
                f"CONNECT {parts.path}?{parts.query}&session_id={session} HTTP/1.1\r\n\r\n".encode()
            )
            assert answer.readline().startswith(b"HTTP/1.1 200 ")
            while answer.readline().strip():
                pass
            return answer.readline()

    def export_bytes(self, query: dict[str, str]) -> int:
        """The size of an export."""
        return len(self.transfers.image(query.get("use_compression") == "true"))

    def summary(self) -> dict[str, object]:
        """What ``GET /state`` shows."""
        return {"vms": self.vms(), "vdis": self.vdis(), "sessions": self.sessions()}


def image_of(export_file: Path | None) -> Callable[[bool], bytes]:
    """What an export sends: a file, or a small XVA of our own."""
    from tests.xva import samples  # noqa: PLC0415 - a stand-in for imports alone does without

    def image(compressed: bool) -> bytes:
        if export_file is not None:
            data = export_file.read_bytes()
        else:
            data = samples.pack(samples.members_of([samples.disk("Ref:10", 8 * samples.MIB)]))
        return gzip.compress(data, 1) if compressed else data

    return image
