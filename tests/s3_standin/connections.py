"""The stand-in's HTTP side: one thread per connection, bodies into files, faults on the way."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from awscrt.checksums import crc64nvme

from tests.s3_standin.faults import STATUS_OF, Kind, Rule
from tests.s3_standin.messages import Answer, Request, S3Error, encoded, error_body
from tests.s3_standin.profiles import Profile
from tests.s3_standin.signature import problem_of
from tests.s3_standin.standin import Seen, StandIn

_CHUNK_BYTES = 256 * 1024
_CODES = {
    400: "InvalidArgument",
    405: "MethodNotAllowed",
    500: "InternalError",
    501: "NotImplemented",
}


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tls = tls
        self.closing = threading.Event()
        self.connections: set[socket.socket] = set()
        self.connections_lock = threading.Lock()
        self.standin: StandIn | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the client cut."""

    def stop(self) -> None:
        """Stop, cut what is open, and wait for every thread."""
        self.closing.set()
        self.shutdown()
        with self.connections_lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _CutError(Exception):
    """The connection is cut on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        server = self._server
        if server.tls is not None:  # in this thread: a client that says nothing stalls no other
            self.request = server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        with server.connections_lock:
            server.connections.add(self.connection)

    def finish(self) -> None:
        server = self._server
        with server.connections_lock:
            server.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()
        if server.tls is not None:
            self.connection.close()  # the server knows of the bare socket only

    @property
    def _server(self) -> Server:
        return cast("Server", self.server)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Be quiet; ``StandIn.requests`` has it all."""

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def handle_expect_100(self) -> bool:
        """Wait with 100 Continue until the request was looked at."""
        return True

    def _serve(self) -> None:
        standin = self._server.standin
        assert standin is not None
        request = self._request()
        rule = standin.faults.take(request.operation, request.part_number)
        try:
            answer = self._answer_to(standin, request, rule)
            lost = rule is not None and rule.kind is Kind.LOST_ANSWER
            # logged first: a client that has its answer may look at once
            self._log(standin, request, 0 if lost else answer.status)
            if lost:
                self._cut()
            else:
                self._send(answer, request, rule)
        except _CutError:
            self._log(standin, request, 0)
            self._cut()
        except OSError:
            self._cut()
        finally:
            if request.body is not None:
                request.body.unlink(missing_ok=True)

    def _log(self, standin: StandIn, request: Request, status: int) -> None:
        standin.requests.append(
            Seen(
                operation=request.operation,
                key=request.key,
                part_number=request.part_number,
                status=status,
                headers=request.headers,
            )
        )

    def _answer_to(self, standin: StandIn, request: Request, rule: Rule | None) -> Answer:
        try:
            self._check(standin, request, rule)
            self._receive(standin, request, rule)
            request.flip = rule is not None and rule.kind is Kind.FLIP_BYTE
            if rule is not None and rule.kind is Kind.ERROR_IN_200:
                if rule.committed:
                    standin.operations.perform(request)
                return Answer(body=error_body(S3Error(200, rule.code)))
            return standin.operations.perform(request)
        except S3Error as error:
            self.close_connection = True  # the body may not have been read
            return Answer(
                status=error.status,
                headers={"Content-Type": "application/xml", "Connection": "close"},
                body=b"" if self.command == "HEAD" or not error.code else error_body(error),
            )

    # -- in ------------------------------------------------------------------------------------

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        return Request(
            method=self.command,
            bucket=bucket,
            key=key,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
        )

    def _check(self, standin: StandIn, request: Request, rule: Rule | None) -> None:
        _check_proxy(standin.operations.profile, request)
        code = problem_of(self.command, self.path, request.headers, standin.keys)
        if code is not None:
            raise S3Error(403, code)
        _check_manners(standin.operations.profile, request)
        if standin.is_expired(request):
            raise S3Error(400, "ExpiredToken")
        if rule is not None and rule.kind is Kind.ERROR:
            raise S3Error(STATUS_OF.get(rule.code, 400), rule.code)

    def _receive(self, standin: StandIn, request: Request, rule: Rule | None) -> None:
        """Take the body into a file, digesting it; cut or stall where the rule says so."""
        if request.method not in {"PUT", "POST"}:
            return
        if "content-length" not in request.headers:
            raise S3Error(411, "MissingContentLength")
        if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            raise S3Error(501, "NotImplemented", "chunked signatures are not taken")
        if request.bucket not in standin.storage.buckets():
            if request.operation != "CreateBucket":
                raise S3Error(404, "NoSuchBucket")
            standin.storage.create_bucket(request.bucket)
        expects = request.headers.get("expect", "").lower() == "100-continue"
        if expects and standin.operations.profile.says_continue:
            self.send_response_only(100)
            self.end_headers()
        request.size_bytes = int(request.headers["content-length"])
        request.body = standin.storage.incoming(request.bucket)
        md5, sha256, crc, done = hashlib.md5(), hashlib.sha256(), 0, 0
        stop = (
            rule.after_bytes if rule and rule.kind in {Kind.RESET_BODY, Kind.STALL_BODY} else None
        )
        with request.body.open("wb") as file:
            while done < request.size_bytes:
                piece = self.rfile.read1(min(_CHUNK_BYTES, request.size_bytes - done))
                if not piece:
                    raise _CutError
                done += len(piece)
                if stop is not None and rule is not None and done >= stop:
                    self._server.closing.wait(rule.seconds)
                    raise _CutError
                md5.update(piece)
                sha256.update(piece)
                crc = crc64nvme(piece, crc)
                file.write(piece)
        request.digests = {
            "md5": md5.hexdigest(),
            "sha256": b64encode(sha256.digest()).decode(),
            "crc64nvme": encoded(crc),
        }

    # -- out -----------------------------------------------------------------------------------

    def _send(self, answer: Answer, request: Request, rule: Rule | None) -> None:
        slow_s = rule.seconds if rule is not None and rule.kind is Kind.SLOW else 0.0
        complete = request.operation == "CompleteMultipartUpload"
        if slow_s and complete and answer.status == 200:
            self._send_slowly(answer, slow_s)
            return
        if slow_s:
            self._server.closing.wait(slow_s)
        length = len(answer.body)
        if answer.file is not None:
            size_bytes = answer.file.stat().st_size
            length = (answer.end_bytes or size_bytes) - answer.start_bytes
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.file is None:
            self.wfile.write(answer.body)
            return
        with answer.file.open("rb") as file:
            file.seek(answer.start_bytes)
            sent_bytes = 0
            while piece := file.read(min(_CHUNK_BYTES, length - sent_bytes)):
                self.wfile.write(piece)
                sent_bytes += len(piece)
                if rule and rule.kind is Kind.CUT_ANSWER and sent_bytes >= rule.after_bytes:
                    self.close_connection = True  # an end, so that what was sent arrives
                    return

    def _send_slowly(self, answer: Answer, slow_s: float) -> None:
        """Send 200 at once, white space while it works, the answer at last: as S3 does."""
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        declaration, _, rest = answer.body.partition(b"\n")
        self.wfile.write(declaration + b"\n")
        for _ in range(max(1, int(slow_s / 0.1))):
            self.wfile.write(b" ")
            if self._server.closing.wait(0.1):
                return
        self.wfile.write(rest)

    def _cut(self) -> None:
        """Reset the connection: the client sees ECONNRESET, not an end."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
            self.connection.close()


def _check_proxy(profile: Profile, request: Request) -> None:
    """What a server or proxy refuses before it looks at the request."""
    if profile.refuses_expect and "expect" in request.headers:
        raise S3Error(profile.refuses_expect, "")
    limit_bytes = profile.proxy_limit_bytes
    if limit_bytes and int(request.headers.get("content-length", 0)) > limit_bytes:
        raise S3Error(413, "")


def _check_manners(profile: Profile, request: Request) -> None:
    """What a server refuses though S3 takes it."""
    if profile.region and f"/{profile.region}/s3/" not in request.headers["authorization"]:
        raise S3Error(400, "AuthorizationHeaderMalformed", "the region is wrong")
    for name, status in profile.refused_headers.items():
        for header in request.headers:
            if header.startswith(name):
                raise S3Error(status, _CODES[status], f"header {header} is not implemented")
    if refusal := profile.refused_operations.get(request.operation):
        raise S3Error(refusal, _CODES[refusal])
