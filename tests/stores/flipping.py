"""A proxy on loopback that flips one byte of every body that carries an image's bytes."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.stores.listening import HERE, listening

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Flips:
    """What is flipped: the bodies of PUTs whose request line has ``of`` in it."""

    of: bytes
    random: random.Random = field(default_factory=lambda: random.Random(7))
    count: int = 0


@contextlib.contextmanager
def flipping(endpoint_url: str, flips: Flips) -> Iterator[str]:
    """Stand before a server; yields the URL to use instead."""
    beyond_port = int(endpoint_url.rpartition(":")[2])

    def serve(connection: socket.socket) -> None:
        with socket.create_connection((HERE, beyond_port)) as beyond:
            back = threading.Thread(target=_pump, args=(beyond, connection))
            back.start()
            with contextlib.suppress(OSError):
                _forward(connection, beyond, flips)
            with contextlib.suppress(OSError):
                beyond.shutdown(socket.SHUT_WR)
            back.join()

    with listening(serve) as port:
        yield f"http://{HERE}:{port}"


def _forward(source: socket.socket, target: socket.socket, flips: Flips) -> None:
    """Forward requests, one after the other, as their lengths cut them."""
    held = b""
    while True:
        while b"\r\n\r\n" not in held:
            piece = source.recv(65536)
            if not piece:
                return
            held += piece
        head, _, held = held.partition(b"\r\n\r\n")
        target.sendall(head + b"\r\n\r\n")
        match = _LENGTH.search(head)
        left = int(match[1]) if match else 0
        line = head.partition(b"\r\n")[0]
        wanted = line.startswith(b"PUT ") and flips.of in line and left > 0
        position = flips.random.randrange(left) if wanted else -1
        flips.count += wanted
        while left:
            piece = held[:left] or source.recv(min(left, 65536))
            if not piece:
                return
            held = held[len(piece) :]
            if 0 <= position < len(piece):
                changed = bytes([piece[position] ^ 0x40])
                piece = piece[:position] + changed + piece[position + 1 :]
            position -= len(piece)
            left -= len(piece)
            target.sendall(piece)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
