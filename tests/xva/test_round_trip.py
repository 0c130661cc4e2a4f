"""What the writer writes, the reader and independent programs read back bit for bit."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncpipe.errors import UsageError, XvaInvalidError
from asyncpipe.model.xva import ChunkChecksum, Compression, Verdict
from asyncpipe.xva.read.reader import DiskExtractor
from asyncpipe.xva.read.tar import pack_header
from asyncpipe.xva.read.validator import validate
from asyncpipe.xva.write.records import VmSpec, disk_reference
from asyncpipe.xva.write.writer import RawSource, write_xva
from tests.xva.damaging import GOOD
from tests.xva.samples import MIB, Member, digest, disk, members_of, pack

GENUINE = Path(__file__).parents[3] / "shared/data/xva/xenserver-5.6-vmexport.xva"
needs_genuine = pytest.mark.skipif(
    not GENUINE.exists(), reason="no genuine XVA next to this checkout"
)
WHEN = "20261123T17:00:00Z"


def create(paths: list[Path], compression: Compression = Compression.NONE, **spec: Any) -> bytes:
    out = io.BytesIO()
    sources = [RawSource(path=path, name=path.stem) for path in paths]
    vm = VmSpec(name=spec.pop("name", "a VM"), **spec)
    write_xva(out, vm, sources, date_utc=WHEN, compression=compression)
    return out.getvalue()


def extract(xva: bytes, number: int, target: Path, step: int = 8 * MIB) -> bytes:
    with DiskExtractor(target, disk=number) as extractor:
        for at in range(0, len(xva), step):
            extractor.feed(memoryview(xva)[at : at + step])
        extractor.finish()
    return target.read_bytes()


def raw_disk(path: Path, size_bytes: int, pieces: dict[int, bytes]) -> bytes:
    with path.open("wb") as file:
        for at, data in pieces.items():
            file.seek(at % size_bytes)
            file.write(data[: size_bytes - at % size_bytes])
        file.truncate(size_bytes)
    return path.read_bytes()


raw_disks = st.lists(
    st.tuples(
        st.integers(1, 9000).map(lambda sectors: sectors * 512),
        st.dictionaries(st.integers(0, 5 * MIB), st.binary(min_size=1, max_size=2000), max_size=4),
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    made=raw_disks,
    compression=st.sampled_from(Compression),
    step=st.integers(1000, 4 * MIB),
)
def test_every_disk_comes_back_bit_for_bit(
    made: list[tuple[int, dict[int, bytes]]], compression: Compression, step: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = [raw_disk(folder / f"{i}.raw", *one) for i, one in enumerate(made)]
        xva = create([folder / f"{i}.raw" for i in range(len(made))], compression)
        report = validate(xva)
        assert report.verdict is (Verdict.ACCEPT if made else Verdict.WARN), report.findings
        assert report.checksum is (ChunkChecksum.XXH64 if made else None)
        for number, content in enumerate(contents):
            assert extract(xva, number, folder / f"{number}.back", step) == content


def test_the_description_survives_with_its_odd_characters(tmp_path: Path) -> None:
    raw_disk(tmp_path / "root.raw", MIB, {0: b"boot"})
    name = 'Debian <12> & "co" ü'
    xva = create(
        [tmp_path / "root.raw"],
        name=name,
        vcpus=3,
        memory_bytes=2 * 1024**3,
        firmware="uefi",
        description="what it is",
        networks=("Pool-wide <0>",),
    )
    report = validate(xva)
    assert report.verdict is Verdict.ACCEPT
    assert (report.vm_name, report.vcpus, report.memory_bytes) == (name, 3, 2 * 1024**3)
    assert (report.firmware, report.vm_description) == ("uefi", "what it is")
    assert report.networks == ("Pool-wide <0>",)
    assert report.disks[0].name == "root"


def test_the_same_disks_give_the_same_bytes(tmp_path: Path) -> None:
    raw_disk(tmp_path / "a.raw", 3 * MIB, {2 * MIB: b"x"})
    assert create([tmp_path / "a.raw"]) == create([tmp_path / "a.raw"])


def test_holes_and_zeroes_become_gaps_but_the_first_and_last_chunk_stay(tmp_path: Path) -> None:
    raw_disk(tmp_path / "a.raw", 9 * MIB, {4 * MIB: b"x", 6 * MIB: bytes(4096)})
    with tarfile.open(fileobj=io.BytesIO(create([tmp_path / "a.raw"]))) as tar:
        names = [name for name in tar.getnames() if not name.endswith(".xxhash")]
    assert names == ["ova.xml", *(f"Ref:100/{number:08d}" for number in (0, 4, 8))]


def test_an_image_that_ends_inside_a_sector_is_filled_up(tmp_path: Path) -> None:
    content = raw_disk(tmp_path / "a.raw", MIB + 700, {0: b"x" * 100})
    xva = create([tmp_path / "a.raw"])
    assert validate(xva).verdict is Verdict.ACCEPT
    assert extract(xva, 0, tmp_path / "b.raw") == content + bytes(1024 - 700)


def test_an_extracted_disk_keeps_its_holes(tmp_path: Path) -> None:
    raw_disk(tmp_path / "a.raw", 64 * MIB, {40 * MIB: b"x"})
    extract(create([tmp_path / "a.raw"]), 0, tmp_path / "b.raw")
    assert (tmp_path / "b.raw").stat().st_blocks * 512 <= 4 * MIB


def test_keep_alive_chunks_do_not_shift_the_disk(tmp_path: Path) -> None:
    made = disk("Ref:1", 6 * MIB, {3}, keep_alive_before={3: 2, 5: 1})
    other = disk("Ref:2", MIB, seed=9)
    xva = pack(members_of([made, other]))
    assert extract(xva, 0, tmp_path / "a.raw", 70_000) == made.content()
    assert extract(xva, 1, tmp_path / "b.raw") == other.content()


def test_a_damaged_xva_leaves_no_disk_behind(tmp_path: Path) -> None:
    target = tmp_path / "a.raw"
    with pytest.raises(XvaInvalidError, match="truncated"):
        extract(GOOD[:-5000], 0, target)
    assert not target.exists()


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.raw"
    target.write_bytes(b"precious")
    with pytest.raises(UsageError, match="not overwritten"):
        extract(GOOD, 0, target)
    assert target.read_bytes() == b"precious"


def test_a_disk_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="number 2"):
        extract(GOOD, 2, tmp_path / "a.raw")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", " ", "a\x00b", "a\x1bb", "a\ud800b", "a\nb"])
def test_names_that_xml_cannot_carry_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        create([], name=name)


def test_empty_and_missing_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.raw").touch()
    for path in (tmp_path / "empty.raw", tmp_path / "missing.raw", tmp_path):
        with pytest.raises(UsageError):
            create([path])


def test_a_small_first_disk_forbids_gaps_in_later_ones(tmp_path: Path) -> None:
    raw_disk(tmp_path / "small.raw", 4096, {0: b"x"})
    content = raw_disk(tmp_path / "big.raw", 5 * MIB, {0: b"y"})
    xva = create([tmp_path / "small.raw", tmp_path / "big.raw"])
    assert validate(xva).verdict is Verdict.ACCEPT
    assert extract(xva, 1, tmp_path / "back.raw") == content


# -- independent readers ------------------------------------------------------------------------


def sample(
    tmp_path: Path, compression: Compression = Compression.NONE
) -> tuple[bytes, list[bytes]]:
    block = os.urandom(MIB)
    pieces = {0: block[:512], 2 * MIB: block, 5 * MIB + 100: b"end"}
    contents = [
        raw_disk(tmp_path / "one.raw", 6 * MIB + 512 * 7, pieces),
        raw_disk(tmp_path / "two.raw", 3 * MIB, {MIB: b"only here"}),
    ]
    return create([tmp_path / "one.raw", tmp_path / "two.raw"], compression), contents


@pytest.mark.parametrize("compression", list(Compression))
def test_gnu_tar_lists_what_was_written_without_a_word(
    tmp_path: Path, compression: Compression
) -> None:
    tar = shutil.which("tar")
    unpack = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dc"], "none": ["cat"]}[compression]
    if tar is None or shutil.which(unpack[0]) is None:
        pytest.skip(f"no tar or {unpack[0]} on this machine")
    xva, _ = sample(tmp_path, compression)
    plain = subprocess.run(unpack, input=xva, stdout=subprocess.PIPE, check=True).stdout
    done = subprocess.run(
        [tar, "-tf", "-"], input=plain, capture_output=True, check=True, timeout=60
    )
    assert done.stderr == b""
    names = done.stdout.decode().split()
    assert names[0] == "ova.xml"
    assert names[1:3] == ["Ref:100/00000000", "Ref:100/00000000.xxhash"]
    assert names[-1] == "Ref:101/00000002.xxhash"


def test_tarfile_reads_every_member_and_its_checksum(tmp_path: Path) -> None:
    xva, contents = sample(tmp_path)
    whole = bytearray(len(contents[0]))
    with tarfile.open(fileobj=io.BytesIO(xva), errorlevel=2) as tar:
        members = {member.name: tar.extractfile(member) for member in tar.getmembers()}
    for name, file in members.items():
        if name.startswith("Ref:100/") and not name.endswith(".xxhash"):
            assert file is not None
            data = file.read()
            stored = members[f"{name}.xxhash"]
            assert stored is not None
            assert stored.read() == digest("xxhash", data)
            at = int(name.removeprefix("Ref:100/")) * MIB
            whole[at : at + len(data)] = data
    assert bytes(whole) == contents[0]


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
def test_dissect_reads_the_same_disks(tmp_path: Path, compression: Compression) -> None:
    module = pytest.importorskip("dissect.archive.xva", reason="dissect.archive is not installed")
    xva, contents = sample(tmp_path, compression)
    if compression is Compression.GZIP:  # tarfile inside it undoes gzip by itself
        gzip = pytest.importorskip("gzip")
        xva = gzip.decompress(xva)
    # it never yields the last chunk of a disk: one more pair per disk makes up for that
    extra = [Member(f"{disk_reference(number)}/99999999", b"") for number in (0, 1)]
    reader = module.XVA(io.BytesIO(xva[:-1024] + pack(extra)))
    assert reader.disks() == ["Ref:100", "Ref:101"]
    for number, content in enumerate(contents):
        stream = reader.open(disk_reference(number))
        assert stream.read(len(content)) == content


@needs_genuine
def test_headers_are_those_of_a_genuine_export() -> None:
    genuine = GENUINE.read_bytes()[:512]
    ours = bytearray(pack_header("ova.xml", 26014))
    ours[100:108] = genuine[100:108]  # hosts since 2021 write mode 0400, this one wrote 0
    ours[148:156] = genuine[148:156]
    assert bytes(ours) == genuine
    assert pack_header("ova.xml", 26014)[148:156] == b"%07o\0" % (
        int(genuine[148:155], 8) + ord("4") - ord("0")
    )


@needs_genuine
def test_records_have_every_field_that_a_genuine_export_has(tmp_path: Path) -> None:
    raw_disk(tmp_path / "a.raw", MIB, {0: b"x"})
    ours = _fields(create([tmp_path / "a.raw"], networks=("n",)))
    theirs = _fields(GENUINE.read_bytes())
    assert set(theirs) <= set(ours)
    for kind, names in theirs.items():
        assert names - ours[kind] == set(), kind


def _fields(xva: bytes) -> dict[str, set[str]]:
    with tarfile.open(fileobj=io.BytesIO(xva)) as tar:
        file = tar.extractfile("ova.xml")
        assert file is not None
        root = ET.fromstring(file.read())
    found: dict[str, set[str]] = {}
    for entry in root.findall("./struct/member[name='objects']/value/array/data/value/struct"):
        kind = entry.findtext("./member[name='class']/value") or ""
        names = entry.findall("./member[name='snapshot']/value/struct/member/name")
        found.setdefault(kind, set()).update(name.text or "" for name in names)
    return found


# -- size ---------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_a_disk_of_more_than_8_gib_comes_back(tmp_path: Path) -> None:
    size_bytes = 9 * 1024 * MIB + 512
    source, xva, back = (tmp_path / name for name in ("a.raw", "a.xva", "b.raw"))
    with source.open("wb") as file:
        file.truncate(size_bytes)
        for at in (0, 8 * 1024 * MIB - 3, size_bytes - 200):
            file.seek(at)
            file.write(b"here")
        file.seek(MIB)
        for _ in range(1024):
            file.write(os.urandom(MIB))
    command = [sys.executable, "-m", "asyncpipe"]
    subprocess.run(
        [*command, "xva", "create", "--name", "big", "--disk", source, "-o", xva], check=True
    )
    subprocess.run([*command, "verify", xva], check=True)
    subprocess.run([*command, "extract", xva, "-o", back], check=True)
    subprocess.run(["cmp", source, back], check=True)
    assert back.stat().st_blocks * 512 < 1100 * MIB
