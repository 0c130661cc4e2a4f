"""XVA files member by member, so that a test can break exactly one thing.

Nothing here uses the writer: its headers, checksums and ova.xml are made another way.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import tarfile
from dataclasses import dataclass, field, replace

import xxhash
import zstandard

from asyncpipe.model.xva import XvaReport
from asyncpipe.xva.read.validator import XvaValidator

MIB = 1024 * 1024
END = bytes(1024)


@dataclass(frozen=True)
class Member:
    """A tar member; ``stored_size_bytes`` lies about its size."""

    name: str
    data: bytes
    kind: bytes = b"\0"
    stored_size_bytes: int | None = None
    dialect: str = "v7"


@dataclass(frozen=True)
class Disk:
    """A disk: ``chunks`` maps the number of a stored MiB to its bytes, the rest is a gap.

    ``keep_alive_before`` puts that many empty chunks before a chunk.
    """

    reference: str
    size_bytes: int
    chunks: dict[int, bytes]
    name: str = "disk"
    keep_alive_before: dict[int, int] = field(default_factory=dict)
    checksum: str = "xxhash"
    width: int = 8

    def content(self) -> bytes:
        whole = bytearray(self.size_bytes)
        for index, data in self.chunks.items():
            whole[index * MIB : index * MIB + len(data)] = data
        return bytes(whole[: self.size_bytes])


def disk(
    reference: str,
    size_bytes: int,
    stored: set[int] | None = None,
    *,
    seed: int = 1,
    **more: object,
) -> Disk:
    """Make a disk whose chunks ``stored`` (and the first and the last) hold patterned data."""
    last = (size_bytes - 1) // MIB
    wanted = {0, last} | (set(range(last + 1)) if stored is None else stored)
    chunks = {}
    for index in sorted(wanted):
        length = min(MIB, size_bytes - index * MIB)
        block = random.Random(f"{seed}/{reference}/{index}").randbytes(512)
        chunks[index] = block * (length // 512)
    return replace(Disk(reference, size_bytes, chunks), **more)  # type: ignore[arg-type]


def digest(kind: str, data: bytes) -> bytes:
    if kind == "xxhash":
        return xxhash.xxh64_hexdigest(data).upper().encode()
    return hashlib.sha1(data).hexdigest().encode()


def disk_members(item: Disk) -> list[Member]:
    members = []
    shift = 0  # keep-alives take numbers without moving the offset
    for index, data in sorted(item.chunks.items()):
        empties = item.keep_alive_before.get(index, 0)
        for extra in [b""] * empties + [data]:
            name = f"{item.reference}/{index + shift:0{item.width}d}"
            members += [
                Member(name, extra),
                Member(f"{name}.{item.checksum}", digest(item.checksum, extra)),
            ]
            shift += extra == b""
    return members


def value(data: object) -> str:
    """Write XML-RPC as xapi does."""
    if isinstance(data, dict):
        inner = "".join(
            f"<member><name>{key}</name>{value(item)}</member>" for key, item in data.items()
        )
        return f"<value><struct>{inner}</struct></value>"
    if isinstance(data, list):
        return f"<value><array><data>{''.join(map(value, data))}</data></array></value>"
    if isinstance(data, bool):
        return f"<value><boolean>{int(data)}</boolean></value>"
    return f"<value>{data}</value>" if data != "" else "<value/>"


def description(disks: list[Disk]) -> dict[str, object]:
    """Return ova.xml as data: change it, then ``value`` it."""
    objects: list[object] = [
        {
            "class": "VM",
            "id": "Ref:1",
            "snapshot": {
                "name_label": "sample &amp; co",
                "name_description": "",
                "VCPUs_max": 2,
                "memory_static_max": 1024**3,
                "HVM_boot_params": {"firmware": "uefi"},
                "is_a_template": False,
            },
        },
        {"class": "SR", "id": "Ref:3", "snapshot": {"content_type": "user"}},
        {"class": "VBD", "id": "Ref:4", "snapshot": {"type": "CD", "VDI": "OpaqueRef:NULL"}},
    ]
    for number, item in enumerate(disks):
        vbd = {"type": "Disk", "VDI": item.reference}
        vdi = {
            "name_label": item.name,
            "virtual_size": item.size_bytes,
            "SR": "Ref:3",
            "type": "user",
        }
        objects.append({"class": "VBD", "id": f"Vbd:{number}", "snapshot": vbd})
        objects.append({"class": "VDI", "id": item.reference, "snapshot": vdi})
    version = {
        "hostname": "h",
        "date": "20261123",
        "product_version": "8.3.0",
        "product_brand": "XCP-ng",
        "build_number": "b",
        "xapi_major": 1,
        "xapi_minor": 20,
        "export_vsn": 2,
    }
    return {"version": version, "objects": objects}


def members_of(disks: list[Disk], ova: bytes | None = None) -> list[Member]:
    text = value(description(disks)).encode() if ova is None else ova
    ordered = sorted(disks, key=lambda item: item.reference.encode())
    return [Member("ova.xml", text), *(m for item in ordered for m in disk_members(item))]


def header(member: Member) -> bytes:
    size_bytes = len(member.data) if member.stored_size_bytes is None else member.stored_size_bytes
    info = tarfile.TarInfo(member.name)
    info.size = size_bytes
    info.mode = 0o400
    if member.dialect in {"ustar", "gnu"}:
        info.type = member.kind if member.kind != b"\0" else b"0"
        ustar = member.dialect == "ustar"
        return info.tobuf(tarfile.USTAR_FORMAT if ustar else tarfile.GNU_FORMAT)
    block = bytearray(512)
    block[: len(member.name.encode())] = member.name.encode()
    block[100:148] = b"0000400\0" + b"0000000\0" * 2 + b"%011o\0" % size_bytes + b"0" * 11 + b"\0"
    block[156:157] = member.kind
    return with_checksum(block)


def with_checksum(block: bytearray | bytes) -> bytes:
    fixed = bytearray(block)
    fixed[148:156] = b" " * 8
    fixed[148:156] = b"%07o\0" % sum(fixed)
    return bytes(fixed)


def pack(members: list[Member], end: bytes = END) -> bytes:
    out = bytearray()
    for member in members:
        out += header(member) + member.data + bytes(-len(member.data) % 512)
    return bytes(out + end)


def offset_of(members: list[Member], index: int) -> int:
    """Return where the header of member ``index`` stands."""
    return len(pack(members[:index], b""))


def compress(data: bytes, kind: str) -> bytes:
    if kind == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if kind == "zstd":
        return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data)
    return data


def in_pieces(data: bytes, seed: int, *, most: int = 64 * MIB, pieces: int = 4000) -> XvaReport:
    """Validate in random pieces of 1 byte to ``most``, through one buffer that is reused."""
    rng = random.Random(seed)
    validator = XvaValidator()
    buffer = bytearray(min(most, len(data)) or 1)
    least = max(1, len(data) // pieces)
    at = 0
    while at < len(data):
        size = int(2 ** rng.uniform(0, 26)) if rng.random() < 0.5 else rng.randint(1, 2 * least)
        size = min(size, len(buffer), len(data) - at)
        buffer[:size] = data[at : at + size]
        validator.feed(memoryview(buffer)[:size])
        buffer[:size] = b"\xa5" * size  # whoever kept a reference sees rubbish
        at += size
    return validator.finish()
