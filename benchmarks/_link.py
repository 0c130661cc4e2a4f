"""``python -m benchmarks._link HOST PORT BYTES_PER_S``: a link of one rate for all connections.

Prints its port on 127.0.0.1 and forwards until it is ended. Bytes in each direction pass at the
rate. Small socket buffers keep what is "sent" close to what has passed.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

PIECE_BYTES = 32 * 1024
SOCKET_BYTES = 64 * 1024
LATE_S = 0.005  # that a sleep may end late and be made good; else the link is a tenth too slow


class Link:
    """A byte rate that all threads share."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at_s = 0.0
        self._lock = threading.Lock()

    def carry(self, size_bytes: int) -> None:
        """Return when ``size_bytes`` have passed."""
        with self._lock:
            now_s = time.monotonic()
            free_at_s = max(now_s - LATE_S, self._free_at_s)
            self._free_at_s = free_at_s + size_bytes / self._bytes_per_s
            wait_s = self._free_at_s - now_s
        if wait_s > 0.002:  # shorter sleeps are not kept; the debt is paid later
            time.sleep(wait_s)


def pump(source: socket.socket, sink: socket.socket, link: Link) -> None:
    buffer = bytearray(PIECE_BYTES)
    view = memoryview(buffer)
    try:
        while count := source.recv_into(buffer):
            link.carry(count)
            sink.sendall(view[:count])
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            end.close()


def serve(host: str, port: int, bytes_per_s: float) -> None:
    towards, back = Link(bytes_per_s), Link(bytes_per_s)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        print(server.getsockname()[1], flush=True)
        while True:
            client, _ = server.accept()
            upstream = socket.create_connection((host, port))
            for end in (client, upstream):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upstream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
            for source, sink, rate in ((client, upstream, towards), (upstream, client, back)):
                threading.Thread(target=pump, args=(source, sink, rate), daemon=True).start()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
