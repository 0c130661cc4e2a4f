"""XVA files that are good archives of something else: description, order, sizes, checksums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.xva.damaging import (
    FIRST,
    LAST,
    MEMBERS,
    OTHER,
    OVA,
    SECOND,
    A,
    B,
    Damage,
    at,
    changed,
    inserted,
    ova,
    pair,
    with_bytes,
    without,
    xml,
)
from tests.xva.samples import MIB, Member, digest, disk, disk_members, members_of, offset_of, pack


def descriptions() -> Iterator[Damage]:
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


def order() -> Iterator[Damage]:
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
    whole = members_of([disk("Ref:1", 4 * MIB, {0})])
    begun = [whole[0], *(m for m in whole if m.name.startswith("Ref:1/00000000"))]
    past = [*begun, *pair("Ref:1/00000004", bytes(MIB))]  # it begins where the disk ends
    yield Damage("chunk-at-the-end", "disk-overrun", pack(past))


def _three_disks_without_the_second() -> bytes:
    disks = [disk(f"Ref:{n}", MIB, seed=n) for n in (1, 2, 3)]
    return pack([m for m in members_of(disks) if not m.name.startswith("Ref:2/")])


def sizes() -> Iterator[Damage]:
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


def checksums() -> Iterator[Damage]:
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
