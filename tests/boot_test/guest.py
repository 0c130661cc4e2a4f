"""A guest as SSH sees it: a real server (asyncssh) in a thread, which lets in the drive's key."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncssh
import pycdlib

STAND_IN = Path(__file__).with_name("stand_in.py")
LOGIN = "Debian GNU/Linux 12 boot ttyS0\r\n\r\nboot login: "
GOOD: Mapping[str, tuple[str, ...]] = {
    "machine-id": ("0123456789abcdef0123456789abcdef",),
    "host-key": ("AAAAC3NzaC1lZDI1NTE5AAAAIGuestsOwnKeyThatNoImageHas0123456789abcdefgh",),
    "uptime": ("41.5",),
    "root-device-bytes": (str(5 << 30),),
    "root-bytes": (str(39 << 27),),
    "root-free-bytes": (str(3 << 30),),
    "disk-bytes": (str(5 << 30),),
    "unused-bytes": (str(1 << 20),),
    "address": ("enp0s3 10.0.2.15/24",),
    "agent": ("xe-linux-distribution.service enabled",),
    "end": ("1",),
}


def said(facts: Mapping[str, tuple[str, ...]]) -> str:
    return "".join(f"asyncpipe {name} {v}\n" for name, values in facts.items() for v in values)


@dataclass(slots=True)
class Guest:
    """What the guest answers; ``facts`` less host-name, which is the drive's unless it is there."""

    folder: Path  # of the stand-in for QEMU
    facts: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(GOOD))
    cloud_init: tuple[int, str] = (0, "status: done\n")
    check: tuple[int, str] = (0, "")
    hangs: str = ""  # a script with this in it never ends
    refuses: bool = False
    scripts: list[str] = field(default_factory=list)
    port: int = 0
    drive_image: Callable[[], bytes] | None = None  # None: the one that QEMU was given

    @property
    def argv(self) -> list[str]:
        return [str(word) for word in json.loads((self.folder / "argv.json").read_text())]

    def drive(self) -> dict[str, str]:
        """What is on its NoCloud drive."""
        image = pycdlib.PyCdlib()
        if self.drive_image is None:
            value = next(word for word in self.argv if "media=cdrom" in word)
            image.open(value.removeprefix("file=").partition(",format")[0])
        else:
            image.open_fp(BytesIO(self.drive_image()))
        files = {}
        for name in ("user-data", "meta-data"):
            body = BytesIO()
            image.get_file_from_iso_fp(body, rr_path=f"/{name}")
            files[name] = body.getvalue().decode()
        assert image.pvd.volume_identifier.strip() == b"cidata"
        image.close()
        return files

    def answer(self, script: str) -> tuple[int, str]:
        self.scripts.append(script)
        if "cloud-init status" in script:
            return self.cloud_init
        if "say machine-id" in script:
            host = self.drive()["meta-data"].partition("local-hostname: ")[2].strip()
            return 0, said({"host-name": (host,), **self.facts})
        return self.check


class _Server(asyncssh.SSHServer):
    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def begin_auth(self, _: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        user_data = self._guest.drive()["user-data"]
        public = key.export_public_key().decode().split()[1]
        return not self._guest.refuses and f"name: {username}" in user_data and public in user_data


@contextlib.contextmanager
def running(guest: Guest) -> Iterator[Guest]:
    """Serve in a thread; ``guest.port`` is where."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async def process(channel: Any) -> None:
            script = await channel.stdin.read()
            if guest.hangs and guest.hangs in script:
                await stop.wait()
            code, output = guest.answer(script)
            channel.stdout.write(output)
            channel.exit(code)

        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Server(guest),
            process_factory=process,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        )
        guest.port = server.get_port()
        ready.set()
        await stop.wait()
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(20)
        yield guest
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def stand_in(folder: Path, **play: Any) -> Path:
    """Put the stand-in for QEMU into a folder; returns its path."""
    folder.mkdir(exist_ok=True)
    program = folder / "qemu-system-x86_64"
    if not program.exists():
        program.write_text(f"#!{sys.executable} -SE\n{STAND_IN.read_text()}")
        program.chmod(0o755)
    defaults = {"console": LOGIN, "events": [], "port": 1}
    (folder / "stand_in.json").write_text(json.dumps(defaults | play))
    return program


def path_with(folder: Path) -> str:
    """A PATH on which the stand-in is first."""
    rest = [str(Path(sys.executable).parent), "/usr/bin", "/bin"]
    assert shutil.which("sh")
    return ":".join([str(folder), *rest])


def machines(folder: Path) -> list[int]:
    """Processes that boot tests below this folder started, as /proc has them."""
    mark = f"ASYNCPIPE_RUN_FOLDER={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
