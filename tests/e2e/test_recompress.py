"""``asyncpipe recompress``: another form of a published version, as a person asks for it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import Desk, Ended

MIB = 1024 * 1024


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A destination with one version that is not compressed."""
    desk = Desk(tmp_path)
    disk = random.Random(7).randbytes(MIB) + b"words " * (MIB // 2)
    (tmp_path / "disk.raw").write_bytes(disk)
    made = desk.run("xva", "create", "--name", "vm", "--disk", "disk.raw", "-o", "vm.xva")
    assert made.code == 0, made.all
    ended = desk.run("publish", "vm.xva", "--os", "debian", "--os-version", "12")
    assert ended.code == 0, ended.all
    return desk


def versions(desk: Desk) -> list[dict[str, Any]]:
    """Their metadata, oldest first."""
    folders = sorted((desk.folder / "published/templates/debian12").glob("2*"))
    return [json.loads((folder / "metadata.json").read_text("utf-8")) for folder in folders]


def recompressed(desk: Desk, *options: str) -> Ended:
    return desk.run("recompress", "debian12", *options)


def test_the_new_version_has_the_same_content_and_names_the_old_one(desk: Desk) -> None:
    ended = recompressed(desk)
    assert ended.code == 0, ended.all
    old, new = versions(desk)
    assert new["compression"]["plain_sha256_hex"] == old["files"]["xva"]["sha256_hex"]
    assert new["files"]["xva"]["size_bytes"] < old["files"]["xva"]["size_bytes"]
    name = f"debian12@{old['timestamp']}"
    assert new["parent"] == {"version": name, "sha256_hex": old["files"]["xva"]["sha256_hex"]}
    same = ("os", "build", "guest", "packages", "iso", "unit", "variant")
    assert {key: new[key] for key in same} == {key: old[key] for key in same}
    log = desk.folder / "published" / new["files"]["log"]["key"]
    assert log.read_bytes() == (desk.folder / "published" / old["files"]["log"]["key"]).read_bytes()
    latest = json.loads((log.parent.parent / "latest.json").read_text("utf-8"))
    assert latest["version"]["timestamp"] == new["timestamp"]
    assert not (desk.folder / ".asyncpipe/recompress" / f"debian12-{old['timestamp']}").exists()
    difference = desk.run("diff", name, "debian12").out
    assert "compression: not known -> zstd" in difference
    assert "content" not in difference, "both hold one image"

    again = recompressed(desk)
    assert again.code == 0
    assert "nothing was published" in again.out
    assert len(versions(desk)) == 2

    back = recompressed(desk, "--compress", "none")
    assert back.code == 0, back.all
    *_, plain = versions(desk)
    assert plain["compression"] is None
    assert plain["files"]["xva"]["sha256_hex"] == old["files"]["xva"]["sha256_hex"]


def test_a_version_that_changed_at_the_store_is_not_published_again(desk: Desk) -> None:
    (image,) = (desk.folder / "published").rglob("debian12.xva")
    body = bytearray(image.read_bytes())
    body[len(body) // 2] ^= 1
    image.chmod(0o644)
    image.write_bytes(body)
    ended = recompressed(desk)
    assert ended.code in {31, 41}, ended.all
    assert len(versions(desk)) == 1
