"""A Packer with the xenserver plugin in one small program: the same lines, calls and faults.

As packer-plugin-xenserver 0.11.4 does: no signal is heeded during the login, the upload of the ISO
and the download of the XVA; a clean-up that fails is one line and exit code 0; the HTTP status of
an export is not looked at. ``python scripted_packer.py build ... TEMPLATE``.
"""

from __future__ import annotations

import os
import signal
import ssl
import sys
import time
import urllib.request
import xmlrpc.client
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlencode, urlsplit

CONTEXT = ssl._create_unverified_context()
WAIT_S = float(os.environ.get("SCRIPTED_WAIT_S", "0.3"))
HOST, USER, PASSWORD = (
    os.environ.get(f"PKR_VAR_remote_{name}", "") for name in ("host", "username", "password")
)
cancelled: list[int] = []


class HaltedError(Exception):
    """The build ends here; what was made is removed."""


def say(text: str) -> None:
    """One line, written at once; a reader that is gone kills us, as it kills Packer."""
    os.write(1, f"==> xenserver-iso.small: {text}\n".encode())


def pause(seconds: float) -> None:
    """Wait as the plugin waits: a cancel ends it within the second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cancelled:
            raise HaltedError
        time.sleep(0.02)


class Api:
    """XML-RPC with a session."""

    def __init__(self) -> None:
        self._proxy = xmlrpc.client.ServerProxy(f"https://{HOST}/", context=CONTEXT)
        self.session = self._call("session.login_with_password", USER, PASSWORD, "1.0", "packer")

    def _call(self, method: str, *arguments: Any) -> Any:
        answer: Any = getattr(self._proxy, method)(*arguments)
        if answer["Status"] != "Success":
            raise OSError("API Error: " + " ".join(answer["ErrorDescription"]))
        return answer["Value"]

    def __call__(self, method: str, *arguments: Any) -> Any:
        return self._call(method, self.session, *arguments)


class Build:
    """One build; the clean-up runs backwards through what was made."""

    def __init__(self, output: Path, vm_name: str, iso: Path) -> None:
        self.output, self.vm_name, self.iso = output, vm_name, iso
        self.vm = self.uuid = self.image = ""
        self.disks: list[str] = []
        self.made_folder = self.keep = False

    def run(self) -> None:
        """The steps in their order."""
        self.api = Api()
        say("XAPI client session established")
        self.prepare()
        self.upload()
        say("Step: Create Instance")
        self.create()
        say("Step: Start VM Paused")
        self.api("VM.start", self.vm, True, False)
        say(f"Unpausing VM {self.uuid}")
        self.api("VM.unpause", self.vm)
        say("Step: Wait for VM's IP to become known to us.")
        pause(WAIT_S)
        say("Running local shell script: /tmp/packer-shell1")
        for line in os.environ.get("SCRIPTED_GUEST", "").splitlines():
            say(line)
        pause(WAIT_S)
        say("Step: Shutting down VM")
        self.api("VM.hard_shutdown", self.vm)
        say("Step: export artifact")
        self.export()
        say(f"Download completed: {self.output}")

    def prepare(self) -> None:
        say("Retrieving ISO")
        say(f"Trying {self.iso.as_uri()}")
        pause(0.3)
        say(f"{self.iso.as_uri()} => {self.iso}")
        self.output.mkdir(parents=True, exist_ok=True)
        self.made_folder = True

    def upload(self) -> None:
        name = self.iso.name
        say(f"Attemping to find VDI '{name}'")
        known = self.api("VDI.get_by_name_label", name)
        if known:
            self.image = known[0]
            return
        say(f"Step: Upload VDI '{name}'")
        storage = self.api("pool.get_default_SR", self.api("pool.get_all")[0])
        size = self.iso.stat().st_size
        self.image = self.api("VDI.create", disk(name, storage, size))
        task = self.api("task.create", "packer-task", "Packer task")
        query = urlencode({"session_id": self.api.session, "task_id": task, "vdi": self.image})
        say(f"PUT 'https://{HOST}/import_raw_vdi?{query}'")
        with self.iso.open("rb") as body:
            request = urllib.request.Request(
                f"https://{HOST}/import_raw_vdi?{query}", data=body, method="PUT"
            )
            request.add_header("Content-Length", str(size))
            urllib.request.urlopen(request, context=CONTEXT).read()
        self.api("task.destroy", task)

    def create(self) -> None:
        template = self.api("VM.get_by_name_label", "Other install media")[0]
        self.vm = self.api("VM.clone", template, self.vm_name)
        self.api("VM.set_is_a_template", self.vm, False)
        storage = self.api("pool.get_default_SR", self.api("pool.get_all")[0])
        say(f"Creating disk 0 ({self.vm_name}) with size 8 MB using SR: {storage}")
        self.disks.append(self.api("VDI.create", disk(self.vm_name, storage, 8 << 20)))
        self.attach(self.disks[0], "0")
        self.uuid = self.api("VM.get_uuid", self.vm)
        say(f"Created instance '{self.uuid}'")

    def attach(self, vdi: str, device: str) -> None:
        fields = {"VM": self.vm, "VDI": vdi, "type": "Disk", "userdevice": device, "mode": "RW"}
        empty: dict[str, Any] = {"qos_algorithm_params": {}, "other_config": {}}
        more = {"bootable": False, "unpluggable": True, "empty": False, "qos_algorithm_type": ""}
        self.api("VBD.create", {**fields, **empty, **more})

    def export(self) -> None:
        url = f"https://{HOST}/export?uuid={self.uuid}&session_id={self.api.session}"
        say(f"Getting XVA {url}")
        try:
            with (
                urllib.request.urlopen(url, context=CONTEXT) as body,
                (self.output / f"{self.vm_name}.xva").open("wb", buffering=0) as file,
            ):
                while piece := body.read(4096):
                    file.write(piece)
        except OSError as error:
            say(f"Could not download XVA: {error}")
            raise HaltedError from error

    def clean_up(self, *, failed: bool) -> None:
        """Each step says what it does; one that fails says so and the next goes on."""
        if self.keep:
            return
        if self.vm:
            say("Destroying VM")
            self.attempt("VM.hard_shutdown", self.vm, quiet=True)
            self.attempt("VM.destroy", self.vm)
        for number, one in enumerate(self.disks):
            say(f"Destroying VDI {number}")
            self.attempt("VDI.destroy", one)
        if self.image and self.attempt("VDI.destroy", self.image):
            say(f"Destroyed VDI '{self.iso.name}'")
        if failed and self.made_folder:
            say("Deleting output directory...")
            for file in self.output.glob("*"):
                file.unlink()
            self.output.rmdir()

    def attempt(self, method: str, *arguments: Any, quiet: bool = False) -> bool:
        try:
            self.api(method, *arguments)
        except OSError as error:
            if not quiet:
                say(str(error))
            return False
        return True


def disk(name: str, storage: str, size: int) -> dict[str, Any]:
    fields = {"name_label": name, "SR": storage, "virtual_size": str(size), "type": "user"}
    return {**fields, "sharable": False, "read_only": False, "other_config": {"temp": "temp"}}


def cancel(number: int, frame: FrameType | None) -> None:
    cancelled.append(number)
    os.write(1, b"Cancelling build after receiving terminated\n")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["version"]:
        os.write(1, b"Packer v1.16.0\n")
        return 0
    if arguments[:2] == ["plugins", "installed"]:
        os.write(1, b"/p/github.com/vatesfr/xenserver/packer-plugin-xenserver_v0.11.4_x5.0\n")
        return 0
    signal.signal(signal.SIGTERM, cancel)
    given = dict(a.removeprefix("-var=").split("=", 1) for a in arguments if a.startswith("-var="))
    log = Path(os.environ["PACKER_LOG_PATH"])
    log.write_text("a line with session_id=OpaqueRef:secret-session in it\n")
    build = Build(
        Path(given["output_directory"]),
        f"{Path(arguments[-1]).name}-{given['run_id']}",
        Path(urlsplit(os.environ["SCRIPTED_ISO"]).path),
    )
    build.keep = given.get("keep_vm") == "always"
    error = ""
    try:
        build.run()
    except HaltedError:
        error = "Build was cancelled." if cancelled else "Build was halted."
    except OSError as problem:
        say(str(problem))
        error = "Build was halted."
    build.clean_up(failed=bool(error))
    if not error:
        os.write(1, b"Build 'xenserver-iso.small' finished after 1 second.\n")
        return 0
    os.write(1, f"Build 'xenserver-iso.small' errored after 1 second: {error}\n".encode())
    if cancelled:
        os.write(1, b"Cleanly cancelled builds after being interrupted.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
