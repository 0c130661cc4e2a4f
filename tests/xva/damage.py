"""Damaged XVA files of many kinds, each with the code that it must be rejected with."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.xva.samples import (
    END,
    MIB,
    Disk,
    Member,
    compress,
    description,
    digest,
    disk,
    disk_members,
    header,
    members_of,
    offset_of,
    pack,
    value,
    with_checksum,
)

HTTP = (
    b"HTTP/1.1 500 Internal Error\r\ncontent-length: 300\r\n\r\n<html><body>"
    b"SR_BACKEND_FAILURE_46: [ ; The VDI is not available ]</body></html>"
)
A = disk("Ref:10", 3 * MIB + 512 * 1024, {2}, seed=1)  # chunks 0, 2 and the short 3
B = disk("Ref:9", 1536 * 1024, seed=2)
DISKS = [A, B]
MEMBERS = members_of(DISKS)
GOOD = pack(MEMBERS)
NAMES = [member.name for member in MEMBERS]


@dataclass(frozen=True)
class Damage:
    """One damaged file; ``kind`` groups variants of the same defect."""

    kind: str
    code: str
    data: bytes
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.kind}{self.variant and '-'}{self.variant}"


def at(name: str) -> int:
    return NAMES.index(name)


def changed(index: int, **fields: Any) -> list[Member]:
    return [replace(m, **fields) if i == index else m for i, m in enumerate(MEMBERS)]


def without(*names: str) -> list[Member]:
    return [m for m in MEMBERS if m.name not in names]


def inserted(index: int, *extra: Member) -> list[Member]:
    return [*MEMBERS[:index], *extra, *MEMBERS[index:]]


def pair(name: str, data: bytes, kind: str = "xxhash") -> list[Member]:
    return [Member(name, data), Member(f"{name}.{kind}", digest(kind, data))]


def with_bytes(offset: int, new: bytes, data: bytes = GOOD) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def xml(change: Callable[[dict[str, Any]], None], disks: list[Disk] = DISKS) -> bytes:
    told: dict[str, Any] = description(disks)
    change(told)
    return pack(members_of(disks, value(told).encode()))


def ova(text: bytes) -> bytes:
    return pack(members_of(DISKS, text))


OVA = MEMBERS[0].data
FIRST = "Ref:10/00000000"
SECOND = "Ref:10/00000002"
LAST = "Ref:10/00000003"
OTHER = "Ref:9/00000000"
END_OF_DATA = len(GOOD) - 1024


def cases() -> Iterator[Damage]:
    yield from _not_archives()
    yield from _headers()
    yield from _ends()
    yield from _descriptions()
    yield from _order()
    yield from _sizes()
    yield from _checksums()
    yield from _wrapped()


def _not_archives() -> Iterator[Damage]:
    yield Damage("empty", "empty", b"")
    page = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    yield Damage("short-page", "not-xva", page)
    yield Damage("s3-error-document", "not-xva", b"<Error><Code>NoSuchKey</Code></Error>")
    yield Damage("one-byte", "not-xva", b"o")
    yield Damage("half-a-header", "not-xva", GOOD[:300])
    yield Damage("long-page", "tar-header", page + b" " * 2000)
    yield Damage("all-zero", "not-xva", bytes(4 * MIB))
    yield Damage("zeroes-then-archive", "not-xva", bytes(512) + GOOD)
    yield Damage("vhd", "not-xva", b"conectix" + bytes(2000))
    yield Damage("qcow2", "not-xva", b"QFI\xfb\0\0\0\3" + bytes(2000))
    yield Damage("vmdk", "not-xva", b"KDMV" + bytes(2000))
    yield Damage("zip", "not-xva", b"PK\x03\x04" + bytes(2000))
    yield Damage("xz", "tar-header", lzma.compress(A.content()))
    yield Damage("bzip2", "tar-header", bz2.compress(A.content()))
    yield Damage("random-bytes", "tar-header", bytes(range(1, 250)) * 40)
    yield Damage("http-answer-only", "http-error-in-stream", HTTP)
    yield Damage("http-answer-only", "http-error-in-stream", HTTP + b" " * 1000, "long")
    yield Damage("raw-disk", "not-xva", bytes(4096) + A.content())


def _headers() -> Iterator[Damage]:
    for name in ("ova.xml", FIRST, f"{FIRST}.xxhash", OTHER):
        place = offset_of(MEMBERS, at(name))
        yield Damage("flip-in-name", "tar-checksum", with_bytes(place + 2, b"Z"), name)
        yield Damage("flip-in-size", "tar-checksum", with_bytes(place + 130, b"7"), name)
        yield Damage("header-is-text", "tar-header", with_bytes(place, b"some text " * 51), name)
    place = offset_of(MEMBERS, at(SECOND))
    base256 = bytearray(header(MEMBERS[at(SECOND)]))
    base256[124:136] = b"\x80" + bytes(8) + b"\x10\0\0"
    yield Damage("base-256-size", "tar-header", with_bytes(place, with_checksum(base256)))
    signed = bytearray(header(MEMBERS[at(SECOND)]))
    signed[124:136] = b"-0000000001\0"
    yield Damage("negative-size", "tar-header", with_bytes(place, with_checksum(signed)))
    no_mode = bytearray(header(MEMBERS[at(SECOND)]))
    no_mode[100:107] = b"rw-r--r"
    yield Damage("mode-is-text", "tar-header", with_bytes(place, with_checksum(no_mode)))
    yield Damage("zeroed-header", "zeroed-header", with_bytes(place, bytes(512)))
    yield Damage("zeroed-page", "zeroed-header", with_bytes(offset_of(MEMBERS, 2), bytes(512)))
    for kind in (b"1", b"2", b"3", b"5", b"7", b"S", b"K", b"D"):
        data = pack(changed(at(SECOND), kind=kind))
        yield Damage("typeflag", "tar-type", data, kind.decode())
    yield Damage("folder-entry", "tar-type", pack(inserted(1, Member("Ref:10/", b"", b"5"))))
    longer = b"16 path=Ref:10/x\n"
    pax = Member("PaxHeader", b"%d path=Ref:10/x\n" % len(longer), kind=b"x")
    yield Damage("pax-changes-name", "tar-type", pack(inserted(at(SECOND), pax)))
    pax = Member("PaxHeader", b"12 size=777\n", kind=b"x")
    yield Damage("pax-changes-size", "tar-type", pack(inserted(at(SECOND), pax)))
    pax = Member("PaxHeader", b"22 GNU.sparse.major=1\n", kind=b"x")
    yield Damage("pax-sparse", "tar-type", pack(inserted(at(SECOND), pax)))
    pax = Member("PaxHeader", b"999 mtime=1\n", kind=b"x")
    yield Damage("pax-malformed", "tar-header", pack(inserted(at(SECOND), pax)))
    pax = Member("PaxHeader", b"12 mtime=11\n" * 9000, kind=b"x")
    yield Damage("pax-too-big", "tar-header", pack(inserted(at(SECOND), pax)))
    gnu = Member("././@LongLink", b"Ref:10/another\0", kind=b"L")
    yield Damage("gnu-long-name", "tar-type", pack(inserted(at(SECOND), gnu)))
    yield Damage("byte-lost", "tar-header", GOOD[: place + 5000] + GOOD[place + 5001 :])
    yield Damage("byte-added", "tar-checksum", GOOD[: place + 5000] + b"x" + GOOD[place + 5000 :])


def _ends() -> Iterator[Damage]:
    for name in (FIRST, SECOND, OTHER):
        place = offset_of(MEMBERS, at(name))
        yield Damage("cut-at-chunk-border", "truncated", GOOD[:place], name)
        yield Damage("cut-in-header", "truncated", GOOD[: place + 100], name)
        yield Damage("cut-in-chunk", "truncated", GOOD[: place + 100_000], name)
        yield Damage(
            "cut-before-checksum", "truncated", GOOD[: offset_of(MEMBERS, at(name) + 1)], name
        )
        yield Damage("http-at-header", "http-error-in-stream", GOOD[:place] + HTTP, name)
        page = HTTP + b" " * 1024
        yield Damage("http-at-header", "http-error-in-stream", GOOD[:place] + page, f"{name}-long")
        yield Damage("http-in-chunk", "http-error-in-stream", GOOD[: place + 77_777] + HTTP, name)
        ended = pack(MEMBERS[: at(name)])
        code = (
            "metadata-only"
            if name == FIRST
            else "disk-missing"
            if name == OTHER
            else "disk-incomplete"
        )
        yield Damage("ended-in-order-too-early", code, ended, name)
    yield Damage("cut-in-description", "truncated", GOOD[:1000])
    yield Damage("cut-in-padding", "truncated", GOOD[: END_OF_DATA - 10])
    yield Damage("no-end", "no-end-of-archive", GOOD[:END_OF_DATA])
    yield Damage("half-an-end", "no-end-of-archive", GOOD[: END_OF_DATA + 512])
    yield Damage("half-an-end", "no-end-of-archive", GOOD[: END_OF_DATA + 700], "and-a-bit")
    yield Damage("text-after", "trailing-garbage", GOOD + b"oops, some text")
    yield Damage("second-archive", "trailing-garbage", GOOD + GOOD)
    yield Damage("second-archive", "trailing-garbage", GOOD + bytes(9216) + GOOD, "padded")
    yield Damage("http-after", "http-error-in-stream", GOOD + HTTP)
    yield Damage("much-padding", "trailing-padding", GOOD + bytes(MIB + 1))
    tail_zeroed = with_bytes(len(GOOD) - 3 * MIB, bytes(3 * MIB))
    yield Damage("last-3-mib-zeroed", "trailing-padding", tail_zeroed)
    start = offset_of(MEMBERS, at(OTHER))
    zeroed = GOOD[:start] + bytes(len(GOOD) - start)
    yield Damage("tail-zeroed-at-a-border", "trailing-padding", zeroed)
    yield Damage("text-where-the-end-was", "zeroed-header", GOOD[: END_OF_DATA + 512] + b"x" * 512)
    yield Damage("metadata-only", "metadata-only", pack(MEMBERS[:1]))


def _descriptions() -> Iterator[Damage]:
    yield Damage("dot-slash", "ova-not-first", pack(changed(0, name="./ova.xml")))
    yield Damage("ovf-first", "ova-not-first", pack(changed(0, name="vm.ovf")))
    yield Damage("no-description", "ova-not-first", pack(MEMBERS[1:]))
    pax = Member("PaxHeader", b"12 mtime=11\n", kind=b"x")
    yield Damage("pax-first", "ova-not-first", pack([pax, *MEMBERS]))
    yield Damage("cut-xml", "ova-xml", ova(OVA[:-20]))
    yield Damage("text-after-xml", "ova-xml", ova(OVA + b"<more/>"))
    yield Damage("bad-entity", "ova-xml", ova(OVA.replace(b"sample", b"&nosuch;")))
    yield Damage("bad-utf8", "ova-xml", ova(OVA.replace(b"sample", b"\xff\xfe")))
    yield Damage("odd-encoding", "ova-xml", ova(b'<?xml version="1.0" encoding="x-no"?>' + OVA))
    yield Damage("empty-description", "ova-xml", ova(b""))
    yield Damage("zeroed-description", "ova-xml", ova(bytes(len(OVA))))
    dtd = b'<!DOCTYPE value [<!ENTITY a "b">]>'
    yield Damage("dtd", "ova-dtd", ova(dtd + OVA))
    yield Damage("dtd", "ova-dtd", ova(b'<!DOCTYPE value SYSTEM "http://a/b.dtd">' + OVA), "system")
    yield Damage("ovf-envelope", "ova-not-xmlrpc", ova(b"<Envelope><References/></Envelope>"))
    yield Damage("version-1", "ova-not-xmlrpc", ova(b'<appliance version="0.1"><vm/></appliance>'))
    yield Damage("empty-value", "ova-not-xmlrpc", ova(b"<value/>"))
    yield Damage("no-objects", "ova-not-xmlrpc", xml(lambda told: told.pop("objects")))
    yield Damage("no-version", "ova-not-xmlrpc", xml(lambda told: told.pop("version")))
    deep = b"<value><struct><member><name>a</name>" * 300
    yield Damage("deep", "ova-too-big", ova(deep))
    many = [{"class": "x", "id": "y", "snapshot": {}}] * 20_001
    yield Damage("many-objects", "ova-too-big", xml(lambda told: told["objects"].extend(many)))
    big = changed(0, stored_size_bytes=17 * MIB)
    yield Damage("big-description", "ova-too-big", pack(big))
    for name in ("hostname", "date", "product_version", "build_number", "xapi_major"):
        data = xml(lambda told, name=name: told["version"].pop(name))  # type: ignore[misc]
        yield Damage("version-field-missing", "ova-fields", data, name)
    yield Damage(
        "xapi-not-a-number", "ova-fields", xml(lambda t: t["version"].update(xapi_minor="x"))
    )
    for size in ("", "0", "-1", "many", "1e9", "9" * 40):
        data = xml(lambda t, size=size: _vdi(t).update(virtual_size=size))  # type: ignore[misc]
        yield Damage("virtual-size", "ova-fields", data, size[:9])
    yield Damage("no-vm", "ova-fields", xml(lambda told: told["objects"].pop(0)))
    for number in ("1", "3", "x"):
        data = xml(lambda t, n=number: t["version"].update(export_vsn=n))  # type: ignore[misc]
        yield Damage("export-version", "ova-export-vsn", data, number)
    data = xml(lambda told: told["version"].pop("export_vsn"))
    yield Damage("export-version", "ova-export-vsn", data, "missing")
    yield Damage("vbd-to-nowhere", "ova-dangling", xml(lambda t: _vbd(t).update(VDI="Ref:404")))
    yield Damage("vbd-to-null", "ova-dangling", xml(lambda t: _vbd(t).update(VDI="OpaqueRef:NULL")))
    yield Damage("vdi-to-nowhere", "ova-dangling", xml(lambda t: _vdi(t).update(SR="Ref:404")))
    yield Damage("no-sr", "ova-dangling", xml(lambda told: told["objects"].pop(1)))


def _vbd(told: dict[str, Any]) -> dict[str, Any]:
    snapshot: dict[str, Any] = told["objects"][3]["snapshot"]
    return snapshot


def _vdi(told: dict[str, Any]) -> dict[str, Any]:
    snapshot: dict[str, Any] = told["objects"][4]["snapshot"]
    return snapshot


def _order() -> Iterator[Damage]:
    for name in ("Ref:404/00000000", "../etc/passwd", "/etc/passwd", "notes.txt", "Ref:1/00000000"):
        stranger = inserted(1, *pair(name, b"x" * 512))
        yield Damage("stranger", "unknown-disk", pack(stranger), name)
    yield Damage("second-description", "unknown-disk", pack(inserted(1, MEMBERS[0])))
    end = len(MEMBERS)
    yield Damage(
        "chunk-after-last", "extra-member", pack([*MEMBERS, *pair("Ref:9/00000002", bytes(MIB))])
    )
    yield Damage("file-after-last", "extra-member", pack([*MEMBERS, Member("notes.txt", b"hi")]))
    yield Damage(
        "checksum-table", "extra-member", pack([*MEMBERS, Member("checksum.xml", b"<a/>")])
    )
    repeated = [*MEMBERS, MEMBERS[end - 1]]
    yield Damage("checksum-repeated-at-end", "extra-member", pack(repeated))
    extra = inserted(at(OTHER), *pair("Ref:10/00000004", bytes(MIB)))
    yield Damage("chunk-after-disk", "disk-overrun", pack(extra))
    a, b = disk_members(A), disk_members(B)
    yield Damage("disks-swapped", "disk-order", pack([MEMBERS[0], *b, *a]))
    yield Damage(
        "disks-interleaved", "disk-incomplete", pack([MEMBERS[0], *a[:2], *b[:2], *a[2:], *b[2:]])
    )
    yield Damage("first-disk-lost", "disk-order", pack([MEMBERS[0], *b]))
    yield Damage("last-disk-lost", "disk-missing", pack([MEMBERS[0], *a]))
    yield Damage("middle-disk-lost", "disk-order", _three_disks_without_the_second())
    yield Damage("last-chunk-lost", "disk-incomplete", pack(without(LAST, f"{LAST}.xxhash")))
    lost = pack([MEMBERS[0], *a, *b[:2]])
    yield Damage("very-last-chunk-lost", "disk-incomplete", lost)
    twice = inserted(at(SECOND), *pair(FIRST, MEMBERS[1].data))
    yield Damage("chunk-twice", "chunk-order", pack(twice))
    swapped = [MEMBERS[0], *a[:2], *a[4:6], *a[2:4], *b]
    yield Damage("chunks-swapped", "chunk-order", pack(swapped))
    full = disk("Ref:1", 4 * MIB)
    c = disk_members(full)
    data = pack([*members_of([full])[:1], *c[:2], *c[4:6], *c[2:4], *c[6:]])
    yield Damage("chunks-swapped", "chunk-order", data, "whole")
    yield Damage("first-chunk-lost", "first-chunk-missing", pack(without(FIRST, f"{FIRST}.xxhash")))
    for name in (
        "Ref:10/0000000x",
        "Ref:10/",
        "Ref:10/-0000002",
        "Ref:10/" + "0" * 21,
        "Ref:10/\u0662",
    ):
        chunk = inserted(at(SECOND), *pair(name, bytes(MIB)))
        yield Damage("odd-number", "chunk-name", pack(chunk), ascii(name[7:]))
    width = inserted(at(SECOND), *pair("Ref:10/000000001", bytes(MIB)))
    yield Damage("width-changes", "chunk-name", pack(width))
    far = [*MEMBERS[: at(SECOND)], *pair("Ref:10/00000777", bytes(MIB))]
    yield Damage("far-beyond", "disk-overrun", pack(far))


def _three_disks_without_the_second() -> bytes:
    disks = [disk(f"Ref:{n}", MIB, seed=n) for n in (1, 2, 3)]
    return pack([m for m in members_of(disks) if not m.name.startswith("Ref:2/")])


def _sizes() -> Iterator[Damage]:
    full = MEMBERS[at(SECOND)].data
    for size in (512, MIB - 512, MIB + 512, 2 * MIB, 1000, MIB - 1):
        data = (full * 2)[:size]
        members = [*MEMBERS[: at(SECOND)], *pair(SECOND, data), *MEMBERS[at(SECOND) + 2 :]]
        yield Damage("chunk-of-odd-size", "chunk-size", pack(members), str(size))
    yield Damage("giant-chunk", "chunk-size", pack(changed(at(SECOND), stored_size_bytes=20 * MIB)))
    empty = [MEMBERS[0], *pair(FIRST, b""), *MEMBERS[3:]]
    yield Damage("first-chunk-empty", "chunk-size", pack(empty))
    longer = MEMBERS[at(LAST)].data + bytes(512)
    members = [*MEMBERS[: at(LAST)], *pair(LAST, longer), *MEMBERS[at(LAST) + 2 :]]
    yield Damage("last-chunk-too-long", "disk-overrun", pack(members))
    shorter = MEMBERS[at(LAST)].data[:-512]
    members = [*MEMBERS[: at(LAST)], *pair(LAST, shorter), *MEMBERS[at(LAST) + 2 :]]
    yield Damage("last-chunk-too-short", "chunk-size", pack(members))
    small = disk("Ref:1", 4096)
    sparse = disk("Ref:2", 3 * MIB, {0})
    yield Damage("gap-after-short-first-chunk", "chunk-size", pack(members_of([small, sparse])))
    odd = replace(disk("Ref:1", MIB), size_bytes=1000, chunks={0: b"x" * 1000})
    yield Damage("size-of-no-sectors", "chunk-size", pack(members_of([odd])))


def _checksums() -> Iterator[Damage]:
    for name in (FIRST, SECOND, OTHER):
        place = offset_of(MEMBERS, at(name)) + 512
        yield Damage("bit-flip", "checksum-mismatch", with_bytes(place + 9, b"\0"), name)
        zeroed = with_bytes(place + 4096, bytes(4096))
        yield Damage("zeroed-sectors", "checksum-mismatch", zeroed, name)
        yield Damage("no-checksum", "checksum-missing", pack(without(f"{name}.xxhash")), name)
    index = at(f"{SECOND}.xxhash")
    right = MEMBERS[index].data
    for variant, stored, code in (
        ("lower-case", right.lower(), "checksum-mismatch"),
        ("of-another", MEMBERS[2].data, "checksum-mismatch"),
        ("newline", right + b"\n", "checksum-format"),
        ("short", right[:-1], "checksum-format"),
        ("empty", b"", "checksum-format"),
        ("sha1", digest("checksum", MEMBERS[index - 1].data), "checksum-format"),
        ("text", b"not hexadecimal!", "checksum-format"),
        ("zeroed", bytes(16), "checksum-format"),
    ):
        yield Damage(f"checksum-{variant}", code, pack(changed(index, data=stored)))
    sha = [replace(disk("Ref:1", 2 * MIB), checksum="checksum")]
    told = members_of(sha)
    upper = [replace(m, data=m.data.upper()) if m.name.endswith(".checksum") else m for m in told]
    yield Damage("sha1-upper-case", "checksum-mismatch", pack(upper))
    flipped = bytearray(pack(told))
    flipped[offset_of(told, 3) + 600] ^= 1
    yield Damage("sha1-bit-flip", "checksum-mismatch", bytes(flipped))
    other = changed(index, name=f"{FIRST}.xxhash", data=MEMBERS[2].data)
    yield Damage("checksum-of-another-name", "checksum-missing", pack(other))
    turned = [*MEMBERS[: index - 1], MEMBERS[index], MEMBERS[index - 1], *MEMBERS[index + 1 :]]
    yield Damage("checksum-first", "checksum-before-data", pack(turned))
    twice = inserted(index, MEMBERS[index])
    yield Damage("checksum-twice", "checksum-before-data", pack(twice))
    yield Damage("end-instead-of-checksum", "checksum-missing", pack(MEMBERS[:-1]))


def _wrapped() -> Iterator[Damage]:
    for kind in ("gzip", "zstd"):
        packed = compress(GOOD, kind)
        half = len(packed) // 2
        short = compress(GOOD[: offset_of(MEMBERS, at(OTHER))], kind)
        yield Damage("compressed-cut", "truncated", packed[:half], kind)
        yield Damage("compressed-cut", "truncated", packed[:-1], f"{kind}-one-byte")
        yield Damage("compressed-cut", "truncated", packed[:8] + b"", f"{kind}-start")
        yield Damage("compressed-text-after", "trailing-garbage", packed + b"oops", kind)
        yield Damage("compressed-http-after", "http-error-in-stream", packed + HTTP, kind)
        yield Damage("compressed-short-tar", "truncated", short, kind)
        yield Damage("compressed-short-tar-http", "http-error-in-stream", short + HTTP, kind)
        yield Damage("compressed-padding", "trailing-padding", packed + bytes(MIB + 2), kind)
        yield Damage("compressed-half-magic-after", "trailing-garbage", packed + packed[:1], kind)
        yield Damage("compressed-twice", "tar-header", compress(packed, kind), kind)
        yield Damage("compressed-two-xvas", "trailing-garbage", packed + packed, kind)
        flipped = bytearray(packed)
        flipped[-2] ^= 0x10
        yield Damage("compressed-bad-trailer", "decompress", bytes(flipped), kind)
        inside = pack(changed(at(f"{SECOND}.xxhash"), data=b"0" * 16))
        yield Damage("compressed-mismatch", "checksum-mismatch", compress(inside, kind), kind)
        yield Damage("compressed-page", "not-xva", compress(b"<html>no</html>", kind), kind)
        yield Damage("compressed-nothing", "empty", compress(b"", kind), kind)
    packed = compress(GOOD, "gzip")
    yield Damage("gzip-bad-method", "decompress", packed[:2] + b"\x07" + packed[3:] + bytes(600))
    yield Damage("gzip-no-trailer", "truncated", packed[:-8])
    yield Damage("gzip-bad-crc", "decompress", packed[:-8] + b"\1\2\3\4" + packed[-4:])
    empty = gzip.compress(b"", mtime=0)
    yield Damage("gzip-empty-members", "decompress", empty * 2000)
    packed = compress(GOOD, "zstd")
    yield Damage("zstd-reserved-block", "decompress", _block_kind(packed, 3))
    window = b"\x28\xb5\x2f\xfd\x00\xf8" + packed[8:]
    yield Damage("zstd-huge-window", "decompress", window)


def _block_kind(packed: bytes, kind: int) -> bytes:
    """Set the type of the first block; the frame header of these files has 4 + 1 + 4 bytes."""
    flags = packed[4]
    start = 5 + (1 - (flags >> 5 & 1)) + ((flags >> 5 & 1), 2, 4, 8)[flags >> 6]
    return packed[:start] + bytes([packed[start] | kind << 1]) + packed[start + 1 :]


ALL = tuple(cases())
assert bytes(1024) == END
