"""``asyncpipe boot-test`` as a person runs it, with a stand-in for QEMU and a real SSH server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.boot_test.guest import Guest, stand_in
from tests.e2e.command import Desk, Ended


def boot(desk: Desk, guest: Guest, *more: str, **play: Any) -> Ended:
    stand_in(guest.folder, port=guest.port, **play)
    return desk.run("boot-test", "debian12.xva", "--boot-timeout", "8s", *more)


def left(desk: Desk) -> set[str]:
    return desk.files(".asyncpipe") if (desk.folder / ".asyncpipe").exists() else set()


def test_an_image_that_comes_up_passes_and_leaves_nothing(desk: Desk, guest: Guest) -> None:
    ended = boot(desk, guest)
    assert ended.code == 0, ended.all
    assert "debian12.xva: came up in" in ended.out
    assert "ok       machine-id: new" in ended.out
    assert "not run  guest-agent: xe-linux-distribution.service is enabled; not run: no Xen" in (
        ended.out
    )
    assert left(desk) == set()


def test_an_image_whose_clones_would_share_an_id_fails(desk: Desk, guest: Guest) -> None:
    # the disk of the test's XVA holds these bytes
    shared = "0123456789abcdef" * 2
    disk = desk.folder / "shared.raw"
    disk.write_bytes(shared.encode() + bytes(1 << 20))
    created = desk.run("xva", "create", "--name", "x", "--disk", "shared.raw", "-o", "shared.xva")
    assert created.code == 0, created.all
    stand_in(guest.folder, port=guest.port)
    ended = desk.run("boot-test", "shared.xva", "--json")
    assert ended.code == 33, ended.all
    document = json.loads(ended.out)
    assert document["reason"] == "checks"
    assert f"machine-id: {shared} is in the image itself" in document["says"]
    folder = Path(document["log"]).parent
    assert {path.name for path in folder.iterdir()} == {"boot-test.log", "screenshot.png"}
    assert (folder / "screenshot.png").read_bytes().startswith(b"\x89PNG")
    assert "boot login:" in (folder / "boot-test.log").read_text()
