"""The stand-in itself: strict about calls, and its exports break as a real host's do."""

from __future__ import annotations

import http.client
import ssl
import threading
import xmlrpc.client
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from asyncpipe.model.xva import Verdict
from asyncpipe.xva.read.validator import validate
from tests.xapi_standin.faults import Export
from tests.xapi_standin.server import PASSWORD, USERNAME, running_xapi
from tests.xapi_standin.standin import XapiStandIn

LIMIT_S = 20.0


class Client:
    """Calls as the plugin does: blocking, one session, no asyncpipe."""

    def __init__(self, xapi: XapiStandIn) -> None:
        self._host, self._port = "127.0.0.1", int(xapi.address.rpartition(":")[2])
        self._context = ssl.create_default_context(cafile=str(xapi.ca_file))
        self.server: Any = xmlrpc.client.ServerProxy(
            f"https://{xapi.address}/", context=self._context
        )
        self.session = self.call("session.login_with_password", USERNAME, PASSWORD)

    def close(self) -> None:
        self.server("close")()

    def answer(self, method: str, *arguments: Any) -> Any:
        return getattr(self.server, method)(*arguments)

    def call(self, method: str, *arguments: Any) -> Any:
        answer = self.answer(method, *arguments)
        assert answer["Status"] == "Success", answer
        return answer["Value"]

    def code(self, method: str, *arguments: Any) -> str:
        """The code with which a call fails."""
        answer = self.answer(method, self.session, *arguments)
        assert answer["Status"] == "Failure", answer
        return str(answer["ErrorDescription"][0])

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, bool]:
        """Status, what came of the body, and whether it came to its end in peace."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=LIMIT_S
        )
        joint = "&" if "?" in path else "?"
        connection.request(method, f"{path}{joint}session_id={quote(self.session)}", body)
        answer = connection.getresponse()
        received = bytearray()
        with closing(connection), closing(answer):
            try:
                while piece := answer.read1(65536):
                    received += piece
            except (OSError, http.client.IncompleteRead):
                return answer.status, bytes(received), False
            return answer.status, bytes(received), True


@pytest.fixture
def client(xapi: XapiStandIn) -> Iterator[Client]:
    with closing(Client(xapi)) as client:
        yield client


@pytest.fixture
def vm(xapi: XapiStandIn) -> str:
    return xapi.state.uuid_of("VM", xapi.state.add_vm(name_label="debian12"))


class TestStrict:
    def test_what_is_not_known_is_refused(self, client: Client) -> None:
        nobody = "OpaqueRef:nobody"
        assert client.code("VM.get_record", nobody) == "HANDLE_INVALID"
        assert client.code("VM.destroy", nobody) == "HANDLE_INVALID"
        assert client.code("VM.get_by_uuid", "nobody") == "UUID_INVALID"
        assert client.code("VM.fly", nobody) == "MESSAGE_METHOD_UNKNOWN"
        assert client.code("VM.clone") == "MESSAGE_PARAMETER_COUNT_MISMATCH"
        assert client.code("VBD.create", {"VM": nobody, "VDI": nobody}) == "HANDLE_INVALID"
        client.session = nobody
        assert client.code("VM.get_all") == "SESSION_INVALID"

    def test_a_busy_or_running_vm_is_not_destroyed(self, xapi: XapiStandIn, client: Client) -> None:
        running = xapi.state.add_vm(power_state="Running")
        busy = xapi.state.add_vm(current_operations={"OpaqueRef:1": "export"})
        assert client.code("VM.destroy", running) == "OPERATION_NOT_ALLOWED"
        assert client.code("VM.destroy", busy) == "OTHER_OPERATION_IN_PROGRESS"

    def test_any_method_can_be_made_to_fail(self, xapi: XapiStandIn, client: Client) -> None:
        xapi.faults.fail("VM.get_all", "HOST_OFFLINE", times=1)
        assert client.code("VM.get_all") == "HOST_OFFLINE"
        assert client.call("VM.get_all", client.session)

    def test_no_bulk_handler_without_a_session(self, client: Client) -> None:
        client.session = "OpaqueRef:nobody"
        assert client.request("GET", "/export?uuid=x")[0] == 401
        assert client.request("PUT", "/import", b"x")[0] == 401


class TestTheBuildOfAPlugin:
    def test_its_calls_make_start_and_remove_a_vm(self, xapi: XapiStandIn, client: Client) -> None:
        call, session = client.call, client.session
        (pool,) = call("pool.get_all", session)
        storage = call("pool.get_default_SR", session, pool)
        iso = call(
            "VDI.create",
            session,
            {"SR": storage, "name_label": "x.iso", "virtual_size": "4096"},
        )
        task = call("task.create", session, "packer-task", "Packer task")
        path = f"/import_raw_vdi?vdi={quote(iso)}&task_id={quote(task)}"
        assert client.request("PUT", path, bytes(4096))[0] == 200
        assert call("task.get_status", session, task) == "success"
        (template,) = call("VM.get_by_name_label", session, "Other install media")
        vm = call("VM.clone", session, template, "debian12")
        call("VM.set_is_a_template", session, vm, False)
        call("VM.set_platform", session, vm, call("VM.get_platform", session, vm))
        call("VM.remove_from_other_config", session, vm, "disks")
        disk = call(
            "VDI.create", session, {"SR": storage, "name_label": "disk", "virtual_size": "8192"}
        )
        for vdi, kind in ((disk, "Disk"), (iso, "CD")):
            vbd = call("VBD.create", session, {"VM": vm, "VDI": vdi, "type": kind})
            assert call("VBD.get_uuid", session, vbd)
        (pif,) = call("PIF.get_all", session)
        network = call("PIF.get_record", session, pif)["network"]
        call("VIF.create", session, {"VM": vm, "network": network, "device": "0"})
        call("VM.start", session, vm, True, False)
        call("VM.unpause", session, vm)
        metrics = call("VM.get_guest_metrics", session, vm)
        record = call("VM_guest_metrics.get_record", session, metrics)
        assert record["networks"]["0/ip"] == "127.0.0.1"
        call("VM.clean_shutdown", session, vm)
        call("VM.destroy", session, vm)
        for vdi in (disk, iso):
            call("VDI.destroy", session, vdi)
        assert xapi.vms() == xapi.vdis() == []
        assert not xapi.state.tables["VBD"]


class TestExports:
    @pytest.mark.parametrize("query", ["", "&use_compression=true"])
    def test_a_good_one_is_a_valid_xva(self, client: Client, vm: str, query: str) -> None:
        status, body, whole = client.request("GET", f"/export?uuid={vm}{query}")
        assert (status, whole) == (200, True)
        assert validate(body).verdict is not Verdict.REJECT

    @pytest.mark.parametrize("kind", [Export.CUT, Export.ERROR_INSIDE])
    def test_a_broken_one_is_found_by_the_validator(
        self, xapi: XapiStandIn, client: Client, vm: str, kind: Export
    ) -> None:
        xapi.faults.export = kind
        status, body, _ = client.request("GET", f"/export?uuid={vm}")
        assert status == 200
        assert validate(body).verdict is Verdict.REJECT
        assert (b"HTTP/1.1 500" in body) == (kind is Export.ERROR_INSIDE)

    def test_an_error_page_has_its_status(self, xapi: XapiStandIn, client: Client, vm: str) -> None:
        xapi.faults.export = Export.ERROR_PAGE
        assert client.request("GET", f"/export?uuid={vm}")[0] == 500

    def test_a_stalled_one_ends_when_its_task_is_cancelled(
        self, xapi: XapiStandIn, client: Client, vm: str
    ) -> None:
        xapi.faults.export = Export.STALLED
        record = xapi.record("VM", "debian12")

        def export() -> None:
            with suppress(http.client.RemoteDisconnected):  # cancelled before its first byte
                client.request("GET", f"/export?uuid={vm}")

        thread = threading.Thread(target=export)
        thread.start()
        while not record["current_operations"]:
            thread.join(0.02)
            assert thread.is_alive()
        (task,) = record["current_operations"]
        with closing(Client(xapi)) as other:
            other.call("task.cancel", other.session, task)
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        assert record["current_operations"] == {}


def test_a_length_is_sent_only_where_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "x.xva"
    file.write_bytes(b"x" * 100_000)
    with running_xapi(export_file=file) as xapi:
        xapi.faults.export = Export.LENGTH
        vm = xapi.state.uuid_of("VM", xapi.state.add_vm(name_label="debian12"))
        with closing(Client(xapi)) as client:
            status, body, whole = client.request("GET", f"/export?uuid={vm}")
    assert (status, len(body), whole) == (200, 100_000, True)
