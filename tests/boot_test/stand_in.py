"""A program that is started as qemu-system-x86_64 and speaks QMP, with a console that a test wrote.

``stand_in.json`` beside it says what it plays; ``argv.json`` there says what it was started with.
It needs Python's standard library alone, so that a start costs little.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(sys.argv[0]).parent
PLAY = json.loads((HERE / "stand_in.json").read_text())
BLACK = b"P6\n4 2\n255\n" + bytes(24)


def value_of(flag: str) -> str:
    return sys.argv[sys.argv.index(flag) + 1]


def answer(request: dict[str, Any], event: Any) -> object:
    name, values = request["execute"], request.get("arguments", {})
    if name == "human-monitor-command":
        return (
            "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
            f"  TCP[HOST_FORWARD]  12       127.0.0.1 {PLAY['port']:5}       10.0.2.15    22\r\n"
        )
    if name == "screendump":
        Path(values["filename"]).write_bytes(BLACK)
    if name == "system_powerdown" and not PLAY.get("deaf"):
        event("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})
    if name == "quit":
        sys.exit(0)
    return {}


def serve(client: socket.socket) -> None:
    def send(message: object) -> None:
        client.sendall(json.dumps(message).encode() + b"\r\n")

    def event(name: str, data: object) -> None:
        stamp = {"seconds": int(time.time()), "microseconds": 0}
        send({"event": name, "data": data, "timestamp": stamp})

    version = {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}
    send({"QMP": {"version": version, "capabilities": ["oob"]}})
    pending, events = "", [*PLAY["events"]]
    while data := client.recv(65536):
        pending += data.decode()
        while pending.strip():  # requests need not end with a newline
            try:
                request, end = json.JSONDecoder().raw_decode(pending.lstrip())
            except ValueError:
                break
            pending = pending.lstrip()[end:]
            named = {"id": request["id"]} if "id" in request else {}
            send({"return": answer(request, event), **named})
            if request["execute"] == "human-monitor-command":
                for name, values in events:
                    event(name, values)


def main() -> None:
    (HERE / "argv.json").write_text(json.dumps(sys.argv))
    if PLAY.get("dies"):
        sys.stderr.write(PLAY["dies"])
        sys.exit(1)
    path = value_of("-qmp").removeprefix("unix:").partition(",")[0]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        sys.stdout.write(PLAY["console"])
        sys.stdout.flush()
        while True:
            client, _ = server.accept()
            with client:
                serve(client)


main()
