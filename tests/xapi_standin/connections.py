"""HTTPS as XAPI serves it: XML-RPC at ``/``, bulk handlers, a page of its state for people."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit
from xmlrpc.client import dumps, loads

from tests.xapi_standin.faults import Export
from tests.xapi_standin.state import XapiError
from tests.xapi_standin.transfers import ERROR_PAGE, RFB_GREETING, CutError

if TYPE_CHECKING:
    from tests.xapi_standin.standin import XapiStandIn

_MAX_CALL_BYTES = 16 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """Serves one pool."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tls = tls
        self.connections: set[socket.socket] = set()
        self.connections_lock = threading.Lock()
        self.standin: XapiStandIn | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the client cut."""

    def stop(self) -> None:
        """Stop and cut what is open."""
        assert self.standin is not None
        self.standin.faults.closing.set()
        self.shutdown()
        with self.connections_lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        server = cast("Server", self.server)
        self.request = server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        with server.connections_lock:
            server.connections.add(self.connection)

    def finish(self) -> None:
        server = cast("Server", self.server)
        with server.connections_lock:
            server.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()  # the server knows of the bare socket only

    @property
    def _standin(self) -> XapiStandIn:
        standin = cast("Server", self.server).standin
        assert standin is not None
        return standin

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Be quiet; ``XapiStandIn.calls`` has it all."""

    # -- calls -------------------------------------------------------------------------------

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        if length > _MAX_CALL_BYTES:
            self._answer(413, b"", "text/plain")
            return
        arguments, method = loads(self.rfile.read(length))
        answer = self._called(str(method), list(arguments))
        text = dumps((answer,), methodresponse=True)
        self._answer(200, text.encode(), "text/xml")

    def _called(self, method: str, arguments: list[Any]) -> dict[str, Any]:
        standin = self._standin
        shown = arguments[:1] if method.startswith("session.login") else arguments[1:]
        standin.log(method, shown)
        try:
            with standin.at_work(method, arguments):
                standin.faults.meet(method)
            with standin.state.lock:
                value = standin.transfers.calls.answer(method, arguments)
        except XapiError as error:
            return {"Status": "Failure", "ErrorDescription": list(error.description)}
        return {"Status": "Success", "Value": value}

    # -- bulk --------------------------------------------------------------------------------

    def do_GET(self) -> None:
        path, query = self._target()
        if path == "/state":
            self._answer(200, json.dumps(self._standin.summary()).encode(), "application/json")
        elif path == "/export" and self._authorised(query):
            self._export(query)
        elif path != "/export":
            self._answer(404, b"not found", "text/plain")

    def do_CONNECT(self) -> None:
        """The console of a running VM: a VNC server that says its version and hangs up."""
        path, query = self._target()
        self.close_connection = True
        if path != "/console" or not self._authorised(query):
            return
        if not self._standin.has_console(query):
            self._answer(404, b"", "text/plain")
            return
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + RFB_GREETING)

    def do_PUT(self) -> None:
        path, query = self._target()
        handler = {
            "/import": self._standin.transfers.import_vm,
            "/import_raw_vdi": self._standin.transfers.import_raw_vdi,
        }.get(path)
        self.close_connection = True
        if handler is None:
            self._answer(404, b"not found", "text/plain")
            return
        if not self._authorised(query):
            return
        length = self.headers.get("Content-Length")
        if length is None:  # XAPI takes no chunked body
            self._answer(403, b"", "text/plain")
            return
        try:
            self._standin.faults.meet(path)
            if path == "/import" and self._standin.redirect:
                self._redirect(self._standin.redirect)
                return
            if path == "/import":  # XAPI answers first and reads then: the task has the outcome
                self._head(200)
            handler(query, self.rfile, int(length))
            if path != "/import":
                self._head(200)
        except XapiError as error:
            self._answer(500, error.description[0].encode(), "text/plain")
        except (CutError, OSError):
            self._cut()

    def _export(self, query: dict[str, str]) -> None:
        standin = self._standin
        self.close_connection = True
        try:
            standin.faults.meet("/export")
            if standin.faults.export is Export.ERROR_PAGE:
                self.wfile.write(ERROR_PAGE)
                return
            pieces = standin.transfers.export(query)
            first = next(pieces)
            size = standin.export_bytes(query) if standin.faults.export is Export.LENGTH else None
            self._head(200, size)
            self.wfile.write(first)
            for piece in pieces:
                self.wfile.write(piece)
        except XapiError as error:
            self._answer(500, error.description[0].encode(), "text/plain")
        except (CutError, OSError):
            self._cut()

    def _authorised(self, query: dict[str, str]) -> bool:
        with self._standin.state.lock:
            if query.get("session_id") in self._standin.state.tables["session"]:
                return True
        self.close_connection = True
        self._answer(401, b"", "text/plain")
        return False

    def _target(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        shown = {name: value for name, value in query.items() if name != "session_id"}
        self._standin.log(f"{self.command} {parts.path}", [shown])
        return parts.path, query

    def _head(self, status: int, size_bytes: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        if size_bytes is not None:
            self.send_header("Content-Length", str(size_bytes))
        self.end_headers()
        self.wfile.flush()

    def _redirect(self, location: str) -> None:
        """Another host of the pool has the storage repository."""
        with contextlib.suppress(OSError):
            self.send_response(302)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            while self.rfile.read1(1024 * 1024):
                pass  # a reset would hide the answer

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
