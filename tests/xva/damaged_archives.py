"""XVA files whose archive is damaged: its start, headers, end and compression."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator

from tests.xva.damaging import (
    END_OF_DATA,
    FIRST,
    GOOD,
    HTTP,
    MEMBERS,
    OTHER,
    SECOND,
    A,
    Damage,
    at,
    changed,
    inserted,
    with_bytes,
)
from tests.xva.samples import MIB, Member, compress, header, offset_of, pack, with_checksum


def not_archives() -> Iterator[Damage]:
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


def headers() -> Iterator[Damage]:
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


def ends() -> Iterator[Damage]:
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


def wrapped() -> Iterator[Damage]:
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
