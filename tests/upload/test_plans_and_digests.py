"""The algebra: plans cover every byte once, digests of parts make the digest of the whole."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile

import pytest
from awscrt import checksums
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncpipe.errors import SourceChangedError, UploadError
from asyncpipe.model.store import ChecksumMode, StoreCapabilities
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.system.crc import crc64nvme
from asyncpipe.upload.digests import PartReader, combined_crc64nvme, multipart_etag, range_crc64nvme
from asyncpipe.upload.parts import MIB, PartPlan, plan_parts
from tests.upload.helpers import some_bytes

GIB = 1024 * MIB
S3 = StoreCapabilities(
    profile="aws",
    checksum=ChecksumMode.CRC64NVME_FULL,
    conditional_put=True,
    conditional_complete=True,
    compare_and_swap=True,
    object_size_checked=True,
    comparable_etag=False,
)
SIZES = st.one_of(st.integers(0, 64 * MIB), st.integers(0, S3.max_object_bytes))


@given(
    size_bytes=SIZES,
    part_size_bytes=st.one_of(st.none(), st.integers(1, 6 * GIB)),
    max_memory_bytes=st.integers(MIB, 64 * GIB),
    max_parts=st.sampled_from([1_000, 10_000]),
)
def test_a_plan_carries_the_whole_file_within_the_stores_limits(
    size_bytes: int, part_size_bytes: int | None, max_memory_bytes: int, max_parts: int
) -> None:
    limits = StoreCapabilities(
        **{name: getattr(S3, name) for name in S3.__slots__} | {"max_parts": max_parts}
    )
    options = TransferOptions(part_size_bytes=part_size_bytes, max_memory_bytes=max_memory_bytes)
    if size_bytes > max_parts * limits.max_part_bytes:
        with pytest.raises(UploadError):
            plan_parts(size_bytes, options, limits)
        return
    plan = plan_parts(size_bytes, options, limits)
    assert plan.part_size_bytes % MIB == 0
    assert limits.min_part_bytes <= plan.part_size_bytes <= limits.max_part_bytes
    assert size_bytes <= plan.capacity_bytes


@given(size_bytes=st.integers(1, 200), part_bytes=st.integers(1, 50))
def test_parts_cover_every_byte_once_and_in_order(size_bytes: int, part_bytes: int) -> None:
    plan = PartPlan(part_size_bytes=part_bytes, max_parts=1000)
    covered = 0
    for number in range(1, -(-size_bytes // part_bytes) + 1):
        part = plan.part(number, size_bytes)
        assert part.offset_bytes == covered
        assert 0 < part.size_bytes <= part_bytes
        covered = part.end_bytes
    assert covered == size_bytes


@pytest.mark.parametrize(
    ("size_bytes", "grows", "part_mib"),
    [
        (2 * GIB, False, 16),
        (100 * GIB, False, 16),
        (200 * GIB, False, 21),
        (S3.max_object_bytes, False, 5 * 1024),
        (20 * GIB, True, 16),
        (None, True, 16),
    ],
)
def test_the_default_plan_for_common_sizes(
    size_bytes: int | None, grows: bool, part_mib: int
) -> None:
    plan = plan_parts(size_bytes, TransferOptions(), S3, grows=grows)
    assert plan.part_size_bytes == part_mib * MIB


@pytest.mark.parametrize(
    ("memory_mib", "part_mib"), [(8, 5), (20, 5), (24, 6), (64, 16), (128, 32), (4096, 32)]
)
def test_the_default_part_is_a_quarter_of_the_memory_within_bounds(
    memory_mib: int, part_mib: int
) -> None:
    plan = plan_parts(GIB, TransferOptions(max_memory_bytes=memory_mib * MIB), S3)
    assert plan.part_size_bytes == part_mib * MIB


@pytest.mark.parametrize(("memory_mib", "part_mib"), [(32, 8), (60, 15), (64, 16)])
def test_a_guess_of_the_size_costs_no_more_than_a_quarter_of_the_memory(
    memory_mib: int, part_mib: int
) -> None:
    plan = plan_parts(None, TransferOptions(max_memory_bytes=memory_mib * MIB), S3, grows=True)
    assert plan.part_size_bytes == part_mib * MIB


@pytest.mark.parametrize(("over_bytes", "part_mib"), [(0, 100), (1, 101)])
def test_a_part_is_as_large_as_the_number_of_parts_demands(over_bytes: int, part_mib: int) -> None:
    size_bytes = 100 * MIB * S3.max_parts + over_bytes
    assert plan_parts(size_bytes, TransferOptions(), S3).part_size_bytes == part_mib * MIB


def test_a_growing_file_is_planned_a_sixteenth_larger_than_expected() -> None:
    size_bytes = 160 * MIB * S3.max_parts
    plan = plan_parts(size_bytes, TransferOptions(), S3, grows=True)
    assert plan.part_size_bytes == 170 * MIB


def test_an_object_larger_than_the_store_takes_is_refused_by_its_first_byte_too_many() -> None:
    plan_parts(S3.max_object_bytes, TransferOptions(), S3)
    with pytest.raises(UploadError, match="of at most"):
        plan_parts(S3.max_object_bytes + 1, TransferOptions(), S3)


def test_a_file_that_outgrows_its_plan_is_told_with_the_remedy() -> None:
    plan = PartPlan(part_size_bytes=MIB, max_parts=3)
    with pytest.raises(UploadError, match="grew beyond") as caught:
        plan.part(4, 10 * MIB)
    assert "--part-size" in caught.value.hint


@given(parts=st.lists(st.binary(max_size=300), max_size=8))
def test_the_crc_of_the_whole_follows_from_its_parts(parts: list[bytes]) -> None:
    combined = combined_crc64nvme((crc64nvme(part), len(part)) for part in parts)
    assert combined == checksums.crc64nvme(b"".join(parts))


def test_crc64nvme_is_the_one_that_s3_means() -> None:
    assert crc64nvme(b"123456789") == 0xAE8B14860A799888  # check value of CRC-64/NVME


@settings(max_examples=25, deadline=None)
@given(
    size_bytes=st.integers(1, 3 * MIB + 5),
    part_bytes=st.integers(MIB // 2, 2 * MIB),
    mode=st.sampled_from(ChecksumMode),
)
def test_reading_parts_yields_the_bytes_and_their_digests(
    size_bytes: int, part_bytes: int, mode: ChecksumMode
) -> None:
    body = some_bytes(size_bytes)
    plan = PartPlan(part_size_bytes=part_bytes, max_parts=100)
    reader = PartReader(mode)
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        for number in range(1, -(-size_bytes // part_bytes) + 1):
            part = plan.part(number, size_bytes)
            view = memoryview(bytearray(part.size_bytes))
            digested = reader.read(file.fileno(), part, view)
            expected = body[part.offset_bytes : part.end_bytes]
            assert bytes(view) == expected
            assert digested.digests.crc64nvme == checksums.crc64nvme(expected)
            assert range_crc64nvme(file.fileno(), part) == digested.digests.crc64nvme
            sha256 = base64.b64encode(hashlib.sha256(expected).digest()).decode()
            wants_sha256 = mode is ChecksumMode.SHA256_COMPOSITE
            assert digested.digests.sha256_base64 == (sha256 if wants_sha256 else None)
            wants_md5 = mode in {ChecksumMode.CONTENT_MD5, ChecksumMode.ETAG_MD5}
            assert (digested.digests.md5_base64 is not None) == wants_md5


def test_a_file_that_ends_early_is_a_changed_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"short")
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        part = PartPlan(part_size_bytes=10, max_parts=1).part(1, 10)
        with pytest.raises(SourceChangedError, match="byte 5"):
            PartReader(ChecksumMode.NONE).read(file.fileno(), part, memoryview(bytearray(10)))


def test_the_etag_of_a_multipart_object_is_the_md5_of_md5s() -> None:
    md5s = [hashlib.md5(body).digest() for body in (b"a", b"b")]
    expected = hashlib.md5(b"".join(md5s)).hexdigest() + "-2"
    assert multipart_etag(base64.b64encode(md5).decode() for md5 in md5s) == expected
