"""No bytes whatever crash the validator, blow its memory or make it depend on how they arrive."""

from __future__ import annotations

import random
import tracemalloc

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncpipe.xva.read.ova import OvaParser
from asyncpipe.xva.read.validator import XvaValidator, validate
from asyncpipe.xva.reject import RejectError
from tests.xva.samples import MIB, compress, disk, in_pieces, members_of, offset_of, pack

SMALL = members_of([disk("Ref:1", 4096), disk("Ref:2", 2048, checksum="checksum")])
PLAIN = pack(SMALL)
BASES = {kind: compress(PLAIN, kind) for kind in ("none", "gzip", "zstd")}
SPLICES = (
    b"",
    b"\0" * 512,
    b"HTTP/1.1 500 x\r\n",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
    b"<",
    PLAIN,
)

relaxed = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_bases_are_good() -> None:
    for data in BASES.values():
        assert validate(data).accepted


@relaxed
@given(
    data=st.binary(max_size=3000),
    start=st.sampled_from([b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", PLAIN[:512], PLAIN[:2048]]),
    seed=st.integers(0, 2**32),
)
def test_any_bytes_get_one_verdict(data: bytes, start: bytes, seed: int) -> None:
    report = validate(start + data)
    assert report.rejection is not None
    assert in_pieces(start + data, seed) == report


@relaxed
@given(
    kind=st.sampled_from(sorted(BASES)),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True),
            st.integers(0, 600),
            st.sampled_from(SPLICES) | st.binary(max_size=40),
        ),
        min_size=1,
        max_size=4,
    ),
    seed=st.integers(0, 2**32),
)
def test_edited_files_get_one_verdict(
    kind: str, edits: list[tuple[float, int, bytes]], seed: int
) -> None:
    data = BASES[kind]
    for place, removed, added in edits:
        at = int(place * len(data))
        data = data[:at] + added + data[at + removed :]
    report = validate(data)
    assert in_pieces(data, seed) == report
    assert (report.rejection is None) == report.accepted


@pytest.mark.parametrize("kind", sorted(BASES))
def test_every_truncation_is_rejected(kind: str) -> None:
    data = BASES[kind]
    for size in [*range(0, len(data), 37), *range(len(data) - 40, len(data))]:
        assert not validate(data[:size]).accepted, size


def test_every_flipped_bit_of_the_disks_is_found() -> None:
    rng = random.Random(5)
    for index in (1, 2, 3, 4):
        start = offset_of(SMALL, index)
        for _ in range(60):
            flipped = bytearray(PLAIN)
            at = start + 512 + rng.randrange(len(SMALL[index].data))
            flipped[at] ^= 1 << rng.randrange(8)
            assert not validate(bytes(flipped)).accepted, at


def peak_of(data: bytes, step: int) -> int:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        validator = XvaValidator()
        view = memoryview(data)
        for at in range(0, len(data), step):
            validator.feed(view[at : at + step])
        validator.finish()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("step", [4096, 64 * MIB])
def test_memory_is_flat_whatever_the_file_holds(kind: str, step: int) -> None:
    big = disk("Ref:1", 48 * MIB)
    small = disk("Ref:1", 4 * MIB)
    peaks = [peak_of(compress(pack(members_of([made])), kind), step) for made in (small, big)]
    assert peaks[1] < peaks[0] + MIB
    assert peaks[1] < 8 * MIB


def test_a_bomb_is_undone_in_small_steps() -> None:
    head = pack(members_of([disk("Ref:1", 4096)])[:1], b"")
    bomb = head + bytes(300 * MIB)
    for kind in ("gzip", "zstd"):
        packed = compress(bomb, kind)
        assert len(packed) < 2 * MIB
        assert peak_of(packed, 64 * MIB) < 8 * MIB
    blocks = b"\x28\xb5\x2f\xfd\x00\x38" + (b"\x02\x00\x10\x00" * 50_000)  # 6 GiB in 200 kB
    assert peak_of(blocks, 64 * MIB) < 8 * MIB
    assert validate(blocks).rejection is not None


@pytest.mark.parametrize(
    ("begin", "unit"),
    [
        (b'<value a="', b"x"),
        (b"<value ", b'a="" '),
        (b"<value><!--", b"-x"),
        (b"<value><?x ", b"?"),
    ],
    ids=["attribute", "attributes", "comment", "instruction"],
)
def test_a_tag_without_end_is_refused_before_it_is_read_often(begin: bytes, unit: bytes) -> None:
    data = begin + unit * (15 * MIB // len(unit))
    taken = []

    def read() -> None:
        parser = OvaParser(0)
        for at in range(0, len(data), 65536):
            taken.append(at)
            parser.feed(data[at : at + 65536])

    with pytest.raises(RejectError) as refused:
        read()
    assert refused.value.code == "ova-too-big"
    assert taken[-1] < MIB


def test_a_long_description_does_not_grow_the_memory() -> None:
    members = members_of([disk("Ref:1", 4096)])
    secret = b"<member><name>contents</name><value>" + b"A" * (12 * MIB) + b"</value></member>"
    text = members[0].data.replace(
        b"<member><name>name_label", secret + b"<member><name>name_label", 1
    )
    data = pack(members_of([disk("Ref:1", 4096)], text))
    assert validate(data).accepted
    assert peak_of(data, 64 * 1024) < 4 * MIB


def test_frames_of_other_compressors_are_read() -> None:
    for level in (1, 3, 19):
        for options in ({"write_checksum": True}, {"write_content_size": False}, {"threads": 2}):
            packed = zstandard.ZstdCompressor(level=level, **options).compress(PLAIN)
            assert validate(packed).accepted, (level, options)
