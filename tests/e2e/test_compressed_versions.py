"""A version published with --compress zstd, through every command that reads it."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from tests.e2e.command import Desk

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Released:
    """One image, as it was exported and as it was published."""

    desk: Desk
    exported: Path
    disk: bytes
    folder: Path

    @property
    def stored(self) -> Path:
        return self.folder / "debian12.xva"

    @property
    def content_hex(self) -> str:
        return hashlib.sha256(self.exported.read_bytes()).hexdigest()

    @property
    def metadata(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / "metadata.json").read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    folder = tmp_path_factory.mktemp("compressed")
    desk = Desk(folder)
    disk = random.Random(22).randbytes(3 * MIB) + bytes(4 * MIB) + b"words " * (MIB // 2)
    (folder / "disk.raw").write_bytes(disk)
    made = desk.run(
        "xva", "create", "--name", "debian12", "--disk", "disk.raw", "-o", "exported.xva"
    )
    assert made.code == 0, made.all
    ended = desk.run(
        *("publish", "exported.xva", "--os", "debian", "--os-version", "12"),
        *("--compress", "zstd:5"),
    )
    assert ended.code == 0, ended.all
    (place,) = (folder / "published/templates/debian12").glob("2*")
    return Released(desk, folder / "exported.xva", disk, place)


def test_the_metadata_has_both_digests_how_it_was_compressed_and_who_imports_it(
    released: Released,
) -> None:
    stored = released.stored.read_bytes()
    document = released.metadata
    assert document["files"]["xva"]["sha256_hex"] == hashlib.sha256(stored).hexdigest()  # type: ignore[index]
    found = document["compression"]
    assert isinstance(found, dict)
    assert found["plain_sha256_hex"] == released.content_hex
    assert found["plain_size_bytes"] == released.exported.stat().st_size
    assert found["ratio"] == pytest.approx(len(stored) / found["plain_size_bytes"], abs=1e-3)
    assert (found["format"], found["level"]) == ("zstd", 5)
    assert found["imported_by"] == {"xapi": "1.166.0", "xcp_ng": "7.6", "xenserver": "8.1"}
    report = document["xva"]
    assert isinstance(report, dict)
    assert report["compression"] == "zstd"
    assert report["size_bytes"] == len(stored)
    assert report["used_bytes"] < report["virtual_size_bytes"] == len(released.disk)


def test_every_reader_gives_the_same_content_digest(released: Released, tmp_path: Path) -> None:
    desk, content_hex = released.desk, released.content_hex
    for file in (released.stored, released.exported):
        verified = desk.run("verify", str(file), "--json")
        assert json.loads(verified.out)["content_sha256_hex"] == content_hex
        inspected = desk.run("inspect", str(file), "--digest", "--json")
        assert json.loads(inspected.out)["content_sha256_hex"] == content_hex
        raw = tmp_path / f"{file.stem}.raw"
        extracted = desk.run("extract", str(file), "-o", str(raw))
        assert content_hex in extracted.err
        assert raw.read_bytes() == released.disk
    for arguments, wanted in (((), released.stored), (("--decompress",), released.exported)):
        out = tmp_path / f"pulled{len(arguments)}.xva"
        pulled = desk.run("pull", "debian12", "-o", str(out), *arguments)
        assert pulled.code == 0, pulled.all
        assert "content-sha256" in pulled.out
        assert out.read_bytes() == wanted.read_bytes()
    plain = subprocess.run(
        ["zstd", "-dc", str(released.stored)], capture_output=True, check=True, timeout=60
    ).stdout
    assert hashlib.sha256(plain).hexdigest() == content_hex
    listed = subprocess.run(
        ["tar", "-tf", "-"], input=plain, capture_output=True, check=False, timeout=60
    )
    assert listed.stdout.startswith(b"ova.xml\n")


def test_show_list_and_diff_say_what_is_in_it(released: Released) -> None:
    desk = released.desk
    shown = desk.run("show", "debian12").out
    assert released.content_hex in shown
    assert "zstd level 5" in shown
    assert "XCP-ng 7.6, XenServer 8.1" in shown
    (entry,) = json.loads(desk.run("list", "--json").out)["versions"]
    assert entry["xva"]["plain_sha256_hex"] == released.content_hex
    assert entry["xva"]["compression"] == "zstd"
    latest = json.loads((released.folder.parent / "latest.json").read_text("utf-8"))
    assert latest["version"]["xva"]["plain_size_bytes"] == released.exported.stat().st_size


def damaged(released: Released, folder: Path, body: bytes) -> Desk:
    """Another destination that holds the version with ``body`` as its image."""
    desk = Desk(folder)
    shutil.copytree(released.folder.parents[2], folder / "published")
    (image,) = (folder / "published").rglob("debian12.xva")
    assert image.read_bytes() == released.stored.read_bytes()
    image.chmod(0o644)
    image.write_bytes(body)
    return desk


@pytest.mark.parametrize("options", [(), ("--decompress",)])
@pytest.mark.parametrize("what", ["bit", "cut", "bomb"])
def test_a_damaged_stream_is_refused_and_nothing_is_left(
    released: Released, tmp_path: Path, what: str, options: tuple[str, ...]
) -> None:
    """The bomb decompresses to more than was published; its beginning is the image's own."""
    stored = released.stored.read_bytes()
    flipped = bytearray(stored)
    flipped[len(stored) // 2] ^= 4
    plain = released.exported.read_bytes() + bytes(64 * MIB)
    body = {
        "bit": bytes(flipped),
        "cut": stored[:-1000] + bytes(1000),
        "bomb": zstandard.ZstdCompressor(level=1, write_checksum=True).compress(plain),
    }[what]
    if what == "bomb":  # of the size that is expected, so that it is read to its end
        body = body[: len(stored)].ljust(len(stored), b"\0")
    desk = damaged(released, tmp_path, body)
    ended = desk.run("pull", "debian12", "-o", "out.xva", *options)
    assert ended.code == 41, ended.all
    assert not [one for one in tmp_path.iterdir() if "xva" in one.name]
    if not options:
        (image,) = (tmp_path / "published").rglob("debian12.xva")
        assert desk.run("verify", str(image)).code == 31


def test_an_xva_from_packer_that_is_compressed_is_published_as_it_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "disk.raw").write_bytes(b"words " * MIB)
    for name, compress in (("plain", "none"), ("packed", "gzip")):
        made = desk.run(
            *("xva", "create", "--name", "vm", "--disk", "disk.raw"),
            *("--compress", compress, "-o", f"{name}.xva"),
        )
        assert made.code == 0, made.all
    ended = desk.run(
        "publish", "packed.xva", "--os", "debian", "--os-version", "12", "--compress", "zstd"
    )
    assert ended.code == 0, ended.all
    assert "packed.xva is compressed with gzip already" in ended.all
    (image,) = (tmp_path / "published").rglob("debian12.xva")
    assert image.read_bytes() == (tmp_path / "packed.xva").read_bytes()
    document = json.loads((image.parent / "metadata.json").read_text("utf-8"))
    found = document["compression"]
    verified = json.loads(desk.run("verify", "plain.xva", "--json").out)
    again = json.loads(desk.run("verify", str(image), "--json").out)
    assert found["format"] == "gzip"
    assert found["imported_by"] is None
    assert found["plain_size_bytes"] == again["unpacked_bytes"]
    assert found["plain_sha256_hex"] == again["content_sha256_hex"]
    assert verified["unpacked_bytes"] == again["unpacked_bytes"]


@pytest.mark.parametrize("text", ["zstd:0", "zstd:20", "xz", "zstd:", "none:1"])
def test_what_cannot_be_is_refused_before_anything_begins(tmp_path: Path, text: str) -> None:
    ended = Desk(tmp_path).run("publish", "x.xva", "--compress", text)
    assert ended.code == 2
    assert "zstd:LEVEL" in ended.err
