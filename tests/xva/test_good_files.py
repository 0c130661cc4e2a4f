"""Every file that import takes is accepted, with what it says about itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncpipe.model.xva import ChunkChecksum, Compression, Verdict, report_to_dict
from asyncpipe.xva.read import sequence
from asyncpipe.xva.read.validator import XvaValidator, validate
from tests.xva import reports
from tests.xva.samples import (
    MIB,
    Disk,
    Member,
    compress,
    description,
    disk,
    disk_members,
    in_pieces,
    members_of,
    offset_of,
    pack,
    value,
)

GENUINE = Path(__file__).parents[3] / "shared/data/xva/xenserver-5.6-vmexport.xva"


@pytest.mark.skipif(not GENUINE.exists(), reason="no genuine XVA next to this checkout")
def test_a_genuine_export_is_accepted_and_told_about() -> None:
    report = validate(GENUINE.read_bytes())
    assert report.verdict is Verdict.ACCEPT
    assert report.findings == ()
    assert report.vm_name == "VM export"
    assert (report.vcpus, report.memory_bytes, report.firmware) == (1, 256 * MIB, None)
    assert [(d.reference, d.virtual_size_bytes, d.data_bytes) for d in report.disks] == [
        ("Ref:20", 2 * MIB, 0)
    ]
    assert report.checksum is ChunkChecksum.SHA1
    assert (report.product_brand, report.product_version, report.xapi_version) == (
        "XenServer",
        "5.6.900",
        "1.3",
    )
    assert len(report.networks) == 3
    assert report.zero_share == 1.0


def _sizes() -> st.SearchStrategy[int]:
    whole = st.integers(1, 3).map(lambda n: n * MIB)
    return whole | st.tuples(st.integers(0, 2), st.integers(1, 2047)).map(
        lambda parts: parts[0] * MIB + parts[1] * 512
    )


@st.composite
def good_disks(draw: st.DrawFn) -> list[Disk]:
    """0 to 4 disks, any size, sparse, with keep-alives, both checksums."""
    references = draw(
        st.lists(
            st.sampled_from(["Ref:1", "Ref:10", "Ref:9", "Ref:1730", "Ref:VDI-1-root"]),
            max_size=4,
            unique=True,
        )
    )
    ordered = sorted(references)
    disks: list[Disk] = []
    for reference in ordered:
        size_bytes = draw(_sizes())
        last = (size_bytes - 1) // MIB
        # import measures gaps by the first chunk of the file, so a short first disk allows none
        gaps_allowed = not disks or disks[0].size_bytes >= MIB
        stored = draw(st.sets(st.integers(0, last))) if gaps_allowed else None
        made = disk(
            reference, size_bytes, stored, checksum=draw(st.sampled_from(["xxhash", "checksum"]))
        )
        alive = (
            draw(st.dictionaries(st.sampled_from(sorted(made.chunks)), st.integers(1, 3)))
            if gaps_allowed
            else {}
        )
        alive.pop(0, None)
        zeroed = draw(st.sets(st.sampled_from(sorted(made.chunks))))
        chunks = {i: bytes(len(d)) if i in zeroed else d for i, d in made.chunks.items()}
        disks.append(replace(made, chunks=chunks, keep_alive_before=alive))
    return disks


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    disks=good_disks(),
    dialect=st.sampled_from(["v7", "ustar", "gnu"]),
    compression=st.sampled_from(["none", "gzip", "zstd"]),
    padded=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_good_files_of_all_kinds_are_accepted(
    disks: list[Disk], dialect: str, compression: str, padded: bool, seed: int
) -> None:
    members = [replace(member, dialect=dialect) for member in members_of(disks)]
    plain = pack(members)
    packed = compress(plain + bytes(-len(plain) % 10240) if padded else plain, compression)
    found: dict[int, bytearray] = {i: bytearray(d.size_bytes) for i, d in enumerate(disks)}

    def keep(chunk: object, data: memoryview) -> None:
        index, offset = chunk.disk, chunk.offset_bytes  # type: ignore[attr-defined]
        found[index][offset : offset + len(data)] = data

    validator = XvaValidator(on_chunk=keep)
    validator.feed(packed)
    report = validator.finish()
    assert report.accepted, report.findings
    assert {f.code for f in report.findings} <= {"checksum-mixed", "no-disks"}
    assert [bytes(found[i]) for i in range(len(disks))] == [d.content() for d in disks]
    assert in_pieces(packed, seed, pieces=300) == report
    assert report.compression is Compression(compression)
    assert len(report.disks) == len(disks)
    assert all(d.complete for d in report.disks)
    json.dumps(report_to_dict(report))


def test_the_report_on_a_good_file_says_all_that_was_seen() -> None:
    assert reports.good() == reports.GOOD.read_text()


@pytest.mark.parametrize("name", ["plain", "gzip", "zstd"])
def test_the_bytes_of_each_chunk_are_handed_on_with_their_place(name: str) -> None:
    disks: dict[int, bytearray] = {}

    def keep(chunk: object, data: memoryview) -> None:
        index, offset = chunk.disk, chunk.offset_bytes  # type: ignore[attr-defined]
        content = disks.setdefault(index, bytearray(8 * MIB))
        content[offset : offset + len(data)] = data

    validator = XvaValidator(on_chunk=keep)
    validator.feed(reports.good_files()[name])
    assert validator.finish().accepted
    first = disk("Ref:1", 4 * MIB + 512, {0, 2, 4})
    assert disks[0].rstrip(b"\0") == first.content().rstrip(b"\0")
    other = disk("Ref:10", MIB + 1024, None)
    assert disks[1].rstrip(b"\0") == other.content()[:MIB].rstrip(b"\0")


def warned(data: bytes) -> set[str]:
    report = validate(data)
    assert report.verdict is Verdict.WARN, report.findings
    return {finding.code for finding in report.warnings}


def test_twenty_digit_chunk_numbers_warn() -> None:
    assert warned(pack(members_of([disk("Ref:1", 2 * MIB, width=20)]))) == {"chunk-name-width"}


def test_a_padded_last_chunk_warns() -> None:
    made = disk("Ref:1", MIB + 512)
    padded = replace(made, chunks={0: made.chunks[0], 1: made.chunks[1].ljust(MIB, b"\0")})
    assert warned(pack(members_of([padded]))) == {"disk-overrun"}


def test_a_vm_without_disks_warns() -> None:
    assert warned(pack(members_of([]))) == {"no-disks"}


def with_cd_drive(image: str, *, empty: str = "0") -> bytes:
    """A VM whose CD drive names an image; the image's VDI is described, its data is not there."""
    disks = [disk("Ref:1", MIB)]
    told = description(disks)
    objects = told["objects"]
    assert isinstance(objects, list)
    drive = {"type": "CD", "empty": empty, "VDI": image, "userdevice": "3"}
    objects.append({"class": "VBD", "id": "Ref:900", "snapshot": drive})
    store = {"class": "SR", "id": "Ref:902", "snapshot": {"content_type": "iso"}}
    name = {"name_label": "debian-12-netinst.iso", "SR": "Ref:902", "virtual_size": "1"}
    objects.extend([store, {"class": "VDI", "id": "Ref:901", "snapshot": name}])
    return pack(members_of(disks, value(told).encode()))


def test_a_cd_left_in_the_drive_warns_by_its_name() -> None:
    report = validate(with_cd_drive("Ref:901"))
    assert report.verdict is Verdict.WARN
    assert [finding.code for finding in report.warnings] == ["cd-in-drive"]
    assert 'holds "debian-12-netinst.iso"' in report.warnings[0].message
    assert report.loaded_drives == ("debian-12-netinst.iso",)


@pytest.mark.parametrize(("image", "empty"), [("Ref:901", "1"), ("OpaqueRef:NULL", "0")])
def test_an_empty_cd_drive_is_fine(image: str, empty: str) -> None:
    report = validate(with_cd_drive(image, empty=empty))
    assert (report.verdict, report.loaded_drives) == (Verdict.ACCEPT, ())


def test_padding_that_is_not_zero_warns() -> None:
    members = members_of([disk("Ref:1", MIB)])
    data = bytearray(pack(members))
    data[-1025] = 7
    assert warned(bytes(data)) == {"pad-nonzero"}
    for seed in range(20):
        assert in_pieces(bytes(data), seed) == validate(bytes(data))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_several_compressed_members_warn(kind: str) -> None:
    plain = pack(members_of([disk("Ref:1", MIB)]))
    cut = len(plain) // 3
    assert warned(compress(plain[:cut], kind) + compress(plain[cut:], kind)) == {"multi-member"}


def test_where_a_second_compressed_member_begins_counts_in_the_file_itself() -> None:
    good = pack(members_of([disk("Ref:1", MIB)]))
    [finding] = validate(compress(good[:5000], "gzip") + compress(good[5000:], "gzip")).findings
    assert (finding.code, finding.unpacked) == ("multi-member", False)


def test_a_skippable_zstd_frame_warns() -> None:
    packed = compress(pack(members_of([disk("Ref:1", MIB)])), "zstd")
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert warned(packed + skippable) == {"multi-member"}


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_zeroes_behind_a_compressed_stream_are_fine(kind: str) -> None:
    packed = compress(pack(members_of([disk("Ref:1", MIB)])), kind)
    assert validate(packed + bytes(1234)).verdict is Verdict.ACCEPT


def test_harmless_pax_headers_warn() -> None:
    members = members_of([disk("Ref:1", MIB)])
    record = b"30 mtime=1700000000.123456789\n"
    members.insert(1, Member("PaxHeaders/x", record, kind=b"x"))
    assert warned(pack(members)) == {"tar-extension"}


def test_a_global_pax_header_without_a_path_renames_nothing() -> None:
    members = members_of([disk("Ref:1", 2 * MIB)])
    members.insert(1, Member("PaxHeaders/g", b"20 comment=exported\n", kind=b"g"))
    assert warned(pack(members)) == {"tar-extension"}


@pytest.mark.parametrize(("records", "accepted"), [(4096, True), (4097, False)])
def test_an_extension_header_may_have_64_kib(records: int, accepted: bool) -> None:
    members = members_of([disk("Ref:1", MIB)])
    members.insert(1, Member("PaxHeader", b"16 comment=abcd\n" * records, kind=b"x"))
    assert validate(pack(members)).accepted is accepted


def test_an_odd_width_of_chunk_numbers_is_said_of_the_first_one() -> None:
    made = disk("Ref:1", 2 * MIB, width=9)
    [finding] = validate(pack(members_of([made]))).findings
    assert (finding.code, finding.member) == ("chunk-name-width", "Ref:1/000000000")


@pytest.mark.parametrize(("silence", "verdict"), [(3, Verdict.ACCEPT), (4, Verdict.REJECT)])
def test_a_silence_may_last_days_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, silence: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(sequence, "_MAX_EMPTY_CHUNKS", 3)
    made = disk("Ref:1", 3 * MIB, keep_alive_before={1: silence, 2: silence})
    assert validate(pack(members_of([made]))).verdict is verdict


def test_padding_that_is_not_zero_is_named_with_its_byte() -> None:
    members = members_of([disk("Ref:1", MIB)])
    data = bytearray(pack(members))
    at_bytes = offset_of(members, 1) - 2
    data[at_bytes] = 1
    [finding] = validate(bytes(data)).findings
    assert (finding.code, finding.offset_bytes) == ("pad-nonzero", at_bytes)


def test_metadata_alone_can_be_allowed() -> None:
    data = pack(members_of([disk("Ref:1", MIB)])[:1])
    validator = XvaValidator(allow_metadata_only=True)
    validator.feed(data)
    assert validator.finish().accepted


def test_pretty_printed_xml_with_typed_scalars_and_a_declaration_is_read() -> None:
    disks = [disk("Ref:1", MIB)]
    text = value(description(disks)).replace("<member>", "\n  <member>\n    ")
    text = text.replace("</struct>", "\n</struct>").replace("<value><struct>", "<value>\n<struct>")
    text = text.replace("<value>2</value>", "<value><i4>2</i4></value>")
    data = pack(members_of(disks, b'<?xml version="1.0"?>\n' + text.encode()))
    report = validate(data)
    assert (report.verdict, report.vcpus) == (Verdict.ACCEPT, 2)


def test_disks_follow_the_byte_order_of_their_references() -> None:
    disks = [disk("Ref:9", MIB, seed=1), disk("Ref:10", 2 * MIB, seed=2)]
    assert validate(pack(members_of(disks))).verdict is Verdict.ACCEPT


def test_what_the_description_says_is_bounded_and_escaped() -> None:
    disks = [disk("Ref:1", MIB, name="x" * 5000)]
    told = description(disks)
    text = value(told).replace("sample &amp; co", "a&#10;b\u202ec" + "y" * 10_000)
    report = validate(pack(members_of(disks, text.encode())))
    assert report.accepted
    assert report.vm_name is not None
    assert report.vm_name.startswith("a\\nb\\u202ec")
    assert len(report.vm_name) <= 200
    assert len(report.disks[0].name) <= 200


def test_secrets_of_the_description_are_not_in_the_report() -> None:
    disks = [disk("Ref:1", MIB)]
    told = description(disks)
    vtpm = {"class": "VTPM", "id": "Ref:77", "snapshot": {"contents": "hunter2-secret"}}
    told["objects"].append(vtpm)  # type: ignore[attr-defined]
    report = validate(pack(members_of(disks, value(told).encode())))
    assert report.accepted
    assert "hunter2" not in repr(report)


def test_the_zero_share_counts_gaps_and_zero_chunks() -> None:
    made = disk("Ref:1", 4 * MIB, {1})
    zeroed = replace(made, chunks={**made.chunks, 1: bytes(MIB)})
    report = validate(pack(members_of([zeroed])))
    assert report.zero_share == 0.5
    assert report.disks[0].stored_bytes == 3 * MIB
    assert report.disks[0].data_bytes == 2 * MIB


def test_nothing_of_a_buffer_is_kept() -> None:
    data = pack(members_of([disk("Ref:1", 3 * MIB)]))
    buffer = bytearray(data[: len(data) // 2])
    validator = XvaValidator()
    with memoryview(buffer) as view:
        validator.feed(view)
    buffer.clear()  # raises BufferError while a view on it lives
    validator.feed(data[len(data) // 2 :])
    assert validator.finish().accepted


def test_the_number_of_a_chunk_is_no_offset_after_a_keep_alive() -> None:
    made = disk("Ref:1", 6 * MIB, {3}, keep_alive_before={3: 2, 5: 1})
    names = [member.name for member in disk_members(made)][::2]
    assert names == [f"Ref:1/{number:08d}" for number in (0, 3, 4, 5, 7, 8)]
    seen: list[int] = []
    validator = XvaValidator(on_chunk=lambda chunk, _data: seen.append(chunk.offset_bytes // MIB))
    validator.feed(pack(members_of([made])))
    assert validator.finish().accepted
    assert seen == [0, 3, 5]
