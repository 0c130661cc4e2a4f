"""XVA -> disks for a machine, and what is in them as published; the picture; QEMU's arguments."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncpipe.boot.disks import any_occurs, pieces_of, unpack
from asyncpipe.boot.qemu.arguments import Firmware, Host, arguments
from asyncpipe.boot.qemu.picture import png_of
from asyncpipe.boot.seed import files_of, new_account, write_seed
from asyncpipe.errors import XvaInvalidError
from asyncpipe.model.boot.machine import GROWN_BYTES, BootImage, MachineSpec
from asyncpipe.xva.write.records import VmSpec
from asyncpipe.xva.write.writer import RawSource, write_xva

MIB = 1 << 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def xva(folder: Path, *disks: bytes, firmware: str = "bios", memory_bytes: int = 4 << 30) -> Path:
    sources = []
    for number, data in enumerate(disks):
        path = folder / f"raw-{number}"
        path.write_bytes(data)
        sources.append(RawSource(path=path, name=f"disk {number}"))
    out = io.BytesIO()
    spec = VmSpec(name="x", vcpus=4, memory_bytes=memory_bytes, firmware=firmware)
    write_xva(out, spec, sources, date_utc="20261123T17:00:00Z")
    path = folder / "image.xva"
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.anyio
async def test_the_disks_are_sparse_and_the_first_has_room_to_grow(tmp_path: Path) -> None:
    first = b"boot".ljust(MIB, b"\0") + bytes(7 * MIB)
    path = xva(tmp_path, first, b"data".ljust(2 * MIB, b"\1"), firmware="uefi")
    folder = tmp_path / "machine"
    folder.mkdir()
    image = await unpack(pieces_of(path), folder)
    assert (image.firmware, image.memory_mib, image.vcpus) == ("uefi", 2048, 2)
    boot, data = image.disks
    assert boot.stat().st_size == len(first) + GROWN_BYTES
    assert boot.stat().st_blocks * 512 < 2 * MIB
    with boot.open("rb") as file:
        assert file.read(len(first)) == first
    assert data.read_bytes() == b"data".ljust(2 * MIB, b"\1")
    assert boot.stat().st_mode & 0o777 == 0o600


@pytest.mark.anyio
async def test_a_damaged_xva_is_not_started(tmp_path: Path) -> None:
    path = xva(tmp_path, b"boot".ljust(MIB, b"\1"))
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(body)
    folder = tmp_path / "machine"
    folder.mkdir()
    with pytest.raises(XvaInvalidError):
        await unpack(pieces_of(path), folder)


@pytest.mark.anyio
async def test_an_xva_that_breaks_off_is_not_started(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[memoryview]:
        yield memoryview(xva(tmp_path, bytes(MIB)).read_bytes()[:4000])

    with pytest.raises(XvaInvalidError):
        await unpack(pieces(), tmp_path)


@pytest.mark.parametrize("at", [0, 5 * MIB + 3, 16 * MIB - 5, 40 * MIB])
def test_an_id_is_found_wherever_in_a_sparse_image(tmp_path: Path, at: int) -> None:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        os.pwrite(file.fileno(), b"\1" * 17 * MIB, 0)
        os.pwrite(file.fileno(), b"0123456789abcdef", at)
        file.truncate(300 * MIB)
    assert any_occurs([disk], ["feedfeedfeedfeed", "0123456789abcdef"])
    assert not any_occurs([disk], ["0123456789abcdeX"])
    assert not any_occurs([disk], [])


def test_a_screen_becomes_a_picture() -> None:
    pixels = bytes(range(24))
    png = png_of(b"P6\n4 2\n255\n" + pixels)
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (4, 2)
    at = png.index(b"IDAT")
    (size,) = struct.unpack(">I", png[at - 4 : at])
    assert zlib.decompress(png[at + 4 : at + 4 + size]) == b"\0" + pixels[:12] + b"\0" + pixels[12:]


@pytest.mark.parametrize(
    "data", [b"", b"P5\n4 2\n255\n", b"P6\n4 2\n255\nshort", b"P6\n0 0\n255\n"]
)
def test_what_is_no_screen_becomes_no_picture(data: bytes) -> None:
    assert png_of(data) == b""


def test_the_drive_has_a_key_and_a_name_of_its_own(tmp_path: Path) -> None:
    one, other = new_account(), new_account()
    assert one.host_name != other.host_name
    assert one.public_key != other.public_key
    assert one.private_key not in repr(one)
    files = files_of(one)
    assert one.public_key.encode() in files["user-data"]
    write_seed(tmp_path / "seed.iso", one)
    listed = (
        subprocess.run(
            ["xorriso", "-indev", str(tmp_path / "seed.iso"), "-ls"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if _has_xorriso()
        else None
    )
    if listed is not None:
        assert "'meta-data'" in listed.stdout
        assert "'user-data'" in listed.stdout
    body = (tmp_path / "seed.iso").read_bytes()
    assert b"cidata" in body
    assert one.private_key.splitlines()[1].encode() not in body


def _has_xorriso() -> bool:
    return any(Path(folder, "xorriso").exists() for folder in ("/usr/bin", "/usr/local/bin"))


def argv(*, kvm: bool = False, firmware: str = "bios", folder: str = "/work") -> tuple[str, ...]:
    image = BootImage(
        disks=(Path(folder, "disk-0.raw"),), firmware=firmware, memory_mib=1024, vcpus=1
    )
    spec = MachineSpec(image=image, seed=Path(folder, "seed.iso"), folder=Path(folder))
    ovmf = Firmware(code=Path("/OVMF_CODE.fd"), variables=Path("/OVMF_VARS.fd"))
    return arguments(spec, Host(qemu="/usr/bin/qemu", kvm=kvm, firmware=ovmf))


def test_the_guest_gets_no_way_out() -> None:
    words = argv()
    net = words[words.index("-netdev") + 1]
    assert "restrict=on" in net
    assert "hostfwd=tcp:127.0.0.1:0-:22" in net
    assert words[words.index("-sandbox") + 1].startswith("on,")
    assert {"-nodefaults", "-no-user-config"} <= set(words)
    assert any("snapshot=on" in word and "disk-0.raw" in word for word in words)


def test_kvm_and_uefi_are_used_where_they_are() -> None:
    assert "kvm" in argv(kvm=True)
    assert "kvm" not in argv()
    assert any("/OVMF_CODE.fd" in word for word in argv(firmware="uefi"))
    assert not any("OVMF" in word for word in argv())


def test_a_comma_in_a_path_is_no_option_of_qemu() -> None:
    assert any("file=/a,,b/disk-0.raw," in word for word in argv(folder="/a,b"))
