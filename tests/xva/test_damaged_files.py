"""Every damaged file is rejected with the right code, however its bytes arrive."""

from __future__ import annotations

import zlib

import pytest

from asyncpipe.model.xva import Verdict
from asyncpipe.xva.read import chunks
from asyncpipe.xva.read.validator import XvaValidator, validate
from asyncpipe.xva.reject import RejectError
from tests.xva import reports
from tests.xva.damage import ALL
from tests.xva.damaging import GOOD, HTTP, Damage, inserted, pair
from tests.xva.samples import in_pieces, pack


def test_the_suite_is_as_wide_as_promised_and_its_base_is_good() -> None:
    assert validate(GOOD).verdict is Verdict.ACCEPT
    assert len(ALL) >= 100
    assert len({damage.kind for damage in ALL}) >= 50
    assert len({str(damage) for damage in ALL}) == len(ALL)


@pytest.mark.parametrize("damage", ALL, ids=str)
def test_a_damaged_file_is_rejected_with_its_code_at_any_chunking(damage: Damage) -> None:
    report = validate(damage.data)
    assert report.rejection is not None, "accepted"
    assert report.rejection.code == damage.code, str(report.rejection)
    assert report.rejection.message.isprintable()
    assert len(report.rejection.message) < 500
    assert report.rejection.offset_bytes >= 0
    seed = zlib.crc32(str(damage).encode())
    for extra in range(3):
        assert in_pieces(damage.data, seed + extra, pieces=400) == report


@pytest.mark.parametrize("damage", [d for d in ALL if len(d.data) < 70_000], ids=str)
def test_byte_by_byte_gives_the_same_verdict(damage: Damage) -> None:
    validator = XvaValidator()
    for value in damage.data:
        validator.feed(bytes([value]))
    assert validator.finish() == validate(damage.data)


def said(kind: str) -> str:
    damage = next(damage for damage in ALL if damage.kind == kind)
    return str(validate(damage.data).rejection)


def test_each_damage_is_named_by_its_byte_in_the_same_words() -> None:
    assert reports.rejections() == reports.REJECTIONS.read_text()


def test_a_file_cut_at_a_chunk_border_is_explained() -> None:
    sentence = next(
        str(validate(d.data).rejection)
        for d in ALL
        if d.kind == "cut-at-chunk-border" and d.variant.endswith("2")
    )
    assert "the export or the copy was cut off" in sentence
    assert "1,048,576 of 3,670,016 bytes" in sentence


def test_an_error_page_behind_a_short_gzip_is_quoted() -> None:
    sentence = said("compressed-short-tar-http")
    assert '"HTTP/1.1 500 Internal Error"' in sentence
    assert "SR_BACKEND_FAILURE_46" in sentence


def test_a_file_whose_end_was_never_written_is_explained() -> None:
    assert "its end was never written" in said("last-3-mib-zeroed")


def test_a_rejected_file_costs_nothing_more() -> None:
    validator = XvaValidator()
    validator.feed(HTTP + b" " * 600)
    assert validator.rejected
    validator.feed(GOOD)
    report = validator.finish()
    assert report.size_bytes == len(HTTP) + 600 + len(GOOD)
    assert validator.finish() is report
    with pytest.raises(RuntimeError):
        validator.feed(b"x")


def test_hostile_names_are_escaped_and_bounded() -> None:
    name = "Ref:404/\x1b[31m\u202e"
    finding = validate(pack(inserted(1, *pair(name, b"x" * 512)))).rejection
    assert finding is not None
    assert "\x1b" not in str(finding)
    assert "\u202e" not in str(finding)


def test_http_in_the_data_of_a_guest_is_no_failed_export() -> None:
    log = b"GET / HTTP/1.1\r\nHTTP/1.1 200 OK\r\n" * 20
    place = len(GOOD) - 300_000
    finding = validate(GOOD[:place] + log).rejection
    assert finding is not None
    assert finding.code == "truncated"


@pytest.mark.parametrize(
    ("stored", "words"),
    [(b"ABCDEF0123456789", "wrong case"), (b"0000000000000000", "is damaged")],
)
def test_a_checksum_in_the_wrong_case_is_not_called_damaged(stored: bytes, words: str) -> None:
    with pytest.raises(RejectError, match=words):
        chunks.compare(stored, b"abcdef0123456789", 0, "Ref:1/00000000.xxhash")
