"""``python -m benchmarks._null``: an S3 server that drops what it is sent, to measure clients.

Prints its port on 127.0.0.1 and serves until it is ended. The kernel drops the bodies of parts
(``MSG_TRUNC``, tcp(7)), so that a GB costs the server less than 0.1 CPU s. It looks at no
signature and verifies no checksum, but says back what it was told. ``GET /_stats`` says how many
bytes of bodies it has received.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

DROP_BYTES: Final = 4 * 1024 * 1024
KEPT: Final = ("x-amz-checksum-crc64nvme", "x-amz-checksum-type", "content-type")


@dataclass(slots=True, kw_only=True)
class Stored:
    """What is remembered of an object: its size and the headers that HEAD says back."""

    size_bytes: int
    headers: dict[str, str] = field(default_factory=dict)


class NullS3:
    """The objects' sizes; one thread serves one connection."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, Stored] = {}
        self.body_bytes = 0

    def serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray(DROP_BYTES)
        with connection, suppress(OSError, ConnectionError, ValueError):
            rest = b""
            while (end := rest.find(b"\r\n\r\n")) >= 0 or (more := connection.recv(65536)):
                if end < 0:
                    rest += more
                    continue
                head, rest = rest[:end].decode("latin-1"), rest[end + 4 :]
                rest = self._answer(connection, head, rest, buffer)

    def _answer(
        self, connection: socket.socket, head: str, rest: bytes, buffer: bytearray
    ) -> bytes:
        request, *lines = head.split("\r\n")
        method, target, _ = request.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in _split(lines)}
        if headers.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        size_bytes = int(headers.get("content-length", "0"))
        left_bytes = size_bytes - len(rest)
        while left_bytes > 0:
            count = connection.recv_into(buffer, min(left_bytes, DROP_BYTES), socket.MSG_TRUNC)
            if not count:
                raise ConnectionError
            left_bytes -= count
        status, more, body = self._act(method, target, headers, size_bytes)
        length = more.pop("content-length", str(len(body)))
        said = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{said}\r\n{body}"
        connection.sendall(answer.encode())
        return rest[size_bytes:]

    def _act(
        self, method: str, target: str, headers: dict[str, str], size_bytes: int
    ) -> tuple[int, dict[str, str], str]:
        """Return status, headers and body of an answer."""
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        kept = {k: v for k, v in headers.items() if k in KEPT or k.startswith("x-amz-meta-")}
        name = hashlib.md5(target.encode(), usedforsecurity=False).hexdigest()
        etag = {"ETag": f'"{name}-1"'}  # in the form of an upload in parts: no digest of the body
        answer: tuple[int, dict[str, str], str] = (404, {}, "")
        self.body_bytes += size_bytes
        match method:
            case "POST":
                answer = 200, {}, self._upload(parts.path, query, kept)
            case "PUT" if "uploadId" in query:
                self.uploads[query["uploadId"][0]].size_bytes += size_bytes
                answer = 200, etag | kept, ""
            case "PUT":
                self.objects[parts.path] = Stored(size_bytes=size_bytes, headers=kept)
                answer = 200, etag | kept, ""
            case "GET" if parts.path == "/_stats":
                answer = 200, {}, json.dumps({"body_bytes": self.body_bytes})
            case "HEAD" if parts.path in self.objects:
                found = self.objects[parts.path]
                length = {"content-length": str(found.size_bytes)}
                answer = 200, etag | found.headers | length, ""
            case "DELETE":
                answer = 204, {}, ""
        return answer

    def _upload(self, path: str, query: dict[str, list[str]], kept: dict[str, str]) -> str:
        """Begin an upload, or complete it."""
        if "uploads" in query:
            upload_id = f"u{len(self.uploads)}-{len(self.objects)}"
            self.uploads[upload_id] = Stored(size_bytes=0, headers=kept)
            name, inside = "InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>"
        else:
            upload = self.uploads.pop(query["uploadId"][0])
            upload.headers |= kept
            self.objects[path] = upload
            name, inside = "CompleteMultipartUploadResult", '<ETag>"null"</ETag>'
        return f"<{name}>{inside}</{name}>"


def _split(lines: list[str]) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in lines if re.match(r"[A-Za-z0-9-]+:", line)]


def main() -> None:
    server = NullS3()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=server.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
