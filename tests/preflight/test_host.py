"""What ``check`` finds at a host, against the stand-in and as a person sees it."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asyncpipe.cli import main
from asyncpipe.host import connection
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn

GIB = 1024**3
TEMPLATE = """
variable "remote_host" { type = string }
variable "remote_password" {
  type      = string
  sensitive = true
}
source "xenserver-iso" "x" {
  remote_host     = %(host)s
  remote_username = "root"
  remote_password = var.remote_password
  remote_ssh_port = %(ssh_port)s
  iso_url         = "%(iso)s"
  iso_checksum    = "none"
  ssh_username    = "root"
  disk_size       = 20000
  %(more)s
}
build { sources = ["source.xenserver-iso.x"] }
"""


@dataclass(slots=True)
class Desk:
    """A folder with a template, and a host that it names."""

    xapi: XapiStandIn
    folder: Path
    ssh_port: int
    capsys: pytest.CaptureFixture[str]

    def check(
        self, more: str = "", *, iso: str = "debian-12.iso", host: str = "var.remote_host"
    ) -> dict[str, dict[str, Any]]:
        """Everything that check says of the host, by name."""
        text = TEMPLATE % {"ssh_port": self.ssh_port, "more": more, "iso": iso, "host": host}
        (self.folder / "x.pkr.hcl").write_text(text, encoding="utf-8")
        main.run(["check", "--json", "--packer", "/nowhere/packer", "x.pkr.hcl"])
        said = self.capsys.readouterr()
        assert self.xapi.password not in said.out + said.err
        checks = json.loads(said.out)["checks"]
        known = {"packer", "template", "variables", "disk", "destination", "end-of-life"}
        return {one["name"]: one for one in checks if one["name"] not in known}


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    ssh = socket.create_server(("127.0.0.1", 0))
    with closing(ssh), running_xapi() as xapi:
        for name, value in xapi.environment.items():
            monkeypatch.setenv(name, value)
        yield Desk(xapi, tmp_path, ssh.getsockname()[1], capsys)
        assert xapi.sessions() == 0


def test_a_host_that_is_ready_is_two_lines(desk: Desk) -> None:
    checks = desk.check()
    assert {one["status"] for one in checks.values()} == {"ok"}
    assert "XCP-ng 8.3.0" in checks["host"]["message"]
    assert "100.0 GiB free on 'Local storage'" in checks["on-host"]["message"]


def test_all_problems_are_told_at_once(desk: Desk) -> None:
    desk.ssh_port = 1
    desk.xapi.state.clock_offset_s = 3600.0
    desk.xapi.state.permissions = ("vm.start", "VM.clone")
    checks = desk.check(
        'clone_template = "Missing"\nnetwork_names = ["Nowhere"]\nsr_name = "Nowhere"\n'
        'iso_name = "missing.iso"'
    )
    wanted = {"clone-template", "network", "storage", "iso", "ssh", "role"}
    failed = {name for name, one in checks.items() if one["status"] == "fail"}
    assert failed == wanted
    assert checks["clock"]["status"] == "warn"
    assert checks["role"]["exit_code"] == 42
    assert "vm.destroy" in checks["role"]["message"]
    assert {checks[name]["exit_code"] for name in wanted - {"role"}} == {20}


def test_a_wrong_password_is_one_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKR_VAR_remote_password", "wrong-word")
    (check,) = desk.check().values()
    assert check["exit_code"] == 42
    assert "wrong-word" not in json.dumps(check)


def test_a_closed_port_is_one_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKR_VAR_remote_host", "127.0.0.1:1")
    (check,) = desk.check().values()
    assert check["exit_code"] == 50
    assert "connection refused" in check["message"]


def test_a_black_hole_has_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.3)
    with closing(socket.create_server(("127.0.0.1", 0))) as hole:
        monkeypatch.setenv("PKR_VAR_remote_host", f"127.0.0.1:{hole.getsockname()[1]}")
        (check,) = desk.check().values()
    assert check["exit_code"] == 50
    assert "gave no answer within" in check["message"]


def test_a_wrong_fingerprint_fails(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCPIPE_HOST_FINGERPRINT", "0" * 64)
    (check,) = desk.check().values()
    assert (check["status"], check["exit_code"]) == ("fail", 2)


def test_a_host_that_nobody_vouches_for_is_not_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Builds went without before: it is said, and fails nothing."""
    monkeypatch.delenv("ASYNCPIPE_HOST_CA")
    (check,) = desk.check().values()
    assert (check["status"], check["exit_code"]) == ("warn", 0)
    assert "asyncpipe host trust" in check["hint"]
    assert not desk.xapi.calls


def test_a_slave_names_its_master(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_xapi(master=desk.xapi.address) as slave:
        monkeypatch.setenv("PKR_VAR_remote_host", slave.address)
        fingerprints = f"{slave.fingerprint} {desk.xapi.fingerprint}"
        monkeypatch.setenv("ASYNCPIPE_HOST_FINGERPRINT", fingerprints)
        checks = desk.check()
    assert checks["host"]["exit_code"] == 20
    assert desk.xapi.address in checks["host"]["hint"]


@pytest.mark.parametrize(
    ("kind", "free_bytes", "status"),
    [("lvm", 10 * GIB, "fail"), ("ext", 10 * GIB, "warn"), ("ext", 0, "fail")],
)
def test_storage_without_room_for_the_disk(
    desk: Desk, kind: str, free_bytes: int, status: str
) -> None:
    storage = desk.xapi.record("SR", "Local storage")
    storage.update(type=kind, other_bytes=100 * GIB - free_bytes)
    assert desk.check()["storage"]["status"] == status


def test_an_iso_repository_without_room_for_the_image(desk: Desk) -> None:
    with (desk.folder / "debian-12.iso").open("wb") as file:
        file.truncate(2 * GIB)
    desk.xapi.record("SR", "ISO images").update(other_bytes=49 * GIB)
    check = desk.check('sr_iso_name = "ISO images"')["storage"]
    assert check["status"] == "fail"
    assert "the ISO image has 2.0 GiB" in check["message"]


@pytest.fixture
def mirror() -> Iterator[str]:
    """Serves a HEAD of an image of 2 GiB, and of nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == "/debian-12.iso" else 404)
            self.send_header("Content-Length", str(2 * GIB))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("name", "status"), [("debian-12.iso", "fail"), ("gone.iso", None)])
def test_room_for_an_image_that_a_mirror_has_is_known_by_its_head(
    desk: Desk, mirror: str, name: str, status: str | None
) -> None:
    desk.xapi.record("SR", "ISO images").update(other_bytes=49 * GIB)
    checks = desk.check('sr_iso_name = "ISO images"', iso=f"{mirror}/{name}")
    assert checks.get("storage", {}).get("status") == status


def test_a_mirror_that_says_nothing_does_not_hold_the_check_up(desk: Desk) -> None:
    assert desk.check(iso="http://127.0.0.1:9/debian-12.iso")["on-host"]["status"] == "ok"


def test_an_iso_of_that_name_on_the_host_is_told(desk: Desk) -> None:
    isos = desk.xapi.ref("SR", "ISO images")
    desk.xapi.state.add_vdi(isos, name_label="debian-12.iso", virtual_size=GIB)
    check = desk.check()["iso"]
    assert check["status"] == "warn"
    assert "removes it after the build" in check["message"]


def test_a_host_that_fails_in_the_middle_is_one_sentence(desk: Desk) -> None:
    desk.xapi.faults.fail("SR.get_all_records", "HOST_STILL_BOOTING")
    (check,) = desk.check().values()
    assert check["exit_code"] == 50
    assert "still starting" in check["message"]


def test_without_credentials_it_says_what_was_not_asked(desk: Desk) -> None:
    (check,) = desk.check(host='consul_key("pool/master")').values()
    assert (check["status"], check["exit_code"]) == ("warn", 0)
    assert not desk.xapi.calls
