"""A server of a few lines for one test: a function is called with each connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

HERE = "127.0.0.1"


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run ``serve`` for each connection, in a thread of its own; yields the port."""
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection:
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                thread = threading.Thread(target=handle, args=(listener.accept()[0],))
                threads.append(thread)
                thread.start()

    with socket.create_server((HERE, 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join()
