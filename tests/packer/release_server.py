"""A release server like HashiCorp's on 127.0.0.1, with a key of its own, and its knobs."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pysequoia import SignatureMode, Tsk, sign

from asyncpipe.packer.release.names import platform_of

PROGRAM = "#!/bin/sh\necho Packer v{version}\n"


class Signer:
    """A key pair made for one test."""

    def __init__(self) -> None:
        self._secret: Any = Tsk.generate("Releases <releases@example.org>")
        self.key = bytes(self._secret.extract_certificate())

    def signature(self, text: bytes) -> bytes:
        return bytes(sign(self._secret.signer(), text, mode=SignatureMode.DETACHED, armor=False))


@dataclass(slots=True)
class Releases:
    """The folder that is served; what a test changes there is what the server says."""

    folder: Path
    signer: Signer = field(default_factory=Signer)
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def publish(self, version: str, *, program: str = PROGRAM) -> Path:
        """Publish a release for this machine; returns its folder."""
        folder = self.folder / "packer" / version
        folder.mkdir(parents=True)
        machine = os.uname()
        name = f"packer_{version}_{platform_of(machine.sysname, machine.machine)}.zip"
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("LICENSE.txt", "...")
            archive.writestr("packer", program.format(version=version))
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        sums = f"{'0' * 64}  packer_{version}_plan9_mips.zip\n{digest}  {name}\n".encode()
        (folder / f"packer_{version}_SHA256SUMS").write_bytes(sums)
        signature = self.signer.signature(sums)
        (folder / f"packer_{version}_SHA256SUMS.sig").write_bytes(signature)
        versions: dict[str, object] = {
            path.name: {} for path in (self.folder / "packer").iterdir() if path.is_dir()
        }
        index = {"name": "packer", "versions": versions}
        (self.folder / "packer/index.json").write_text(json.dumps(index), encoding="utf-8")
        return folder


@contextmanager
def running_releases(folder: Path) -> Iterator[Releases]:
    releases = Releases(folder)
    folder.mkdir(exist_ok=True)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            releases.asked.append(self.path)

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    releases.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield releases
    finally:
        server.shutdown()
        server.server_close()
