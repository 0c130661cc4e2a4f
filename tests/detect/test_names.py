"""Names and URLs of media: the table's examples, the labelled sample, and arbitrary text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncpipe.detect import windows
from asyncpipe.detect.names import Reading, read_label, read_medium
from asyncpipe.detect.table import DISTRIBUTIONS

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "iso-names.json"
# Rows of the sample that are answered differently, with the reason; name -> why.
KNOWN_MISSES: Final[dict[str, str]] = {}

EXAMPLES = [
    pytest.param(name, entry.os_type, version, id=f"{entry.os_type}-{name[-60:]}")
    for entry in DISTRIBUTIONS
    for name, version in entry.examples
] + [pytest.param(name, os, version, id=name) for name, os, version in windows.EXAMPLES]


@pytest.mark.parametrize(("name", "os_type", "version"), EXAMPLES)
def test_every_example_of_the_table_is_read_as_it_says(
    name: str, os_type: str | None, version: str | None
) -> None:
    reading = read_medium(name)
    got = (reading.os_type, reading.os_version) if reading else (None, None)
    assert got == (os_type, version)


def test_every_entry_has_an_example_and_a_name_of_its_own() -> None:
    assert [entry.os_type for entry in DISTRIBUTIONS if not entry.examples] == []
    names = [entry.os_type for entry in DISTRIBUTIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "name",
    [
        "virtio-win-0.1.240.iso",
        "guest-tools.iso",
        "xs-tools.iso",
        "XenServer-VM-Tools.iso",
        "VBoxGuestAdditions_7.0.10.iso",
        "ipxe.iso",
        "boot.iso",
        "install.iso",
        "seed.iso",
        "cidata.iso",
        "clonezilla-live-20240715-noble-amd64.iso",
        "systemrescue-11.00-amd64.iso",
        "SERVER_EVAL_x64FRE_en-us.iso",
        "netgate-installer-v1.0-RC-amd64-20240919-1435.iso",
        "https://mirrors.xcp-ng.org/isos/8.2/guest-tools.iso",
        "disk1.qcow2",
        "1.iso",
        "/home/debian/isos/custom.iso",
        "",
        "/",
        "://",
    ],
)
def test_what_is_no_operating_system_or_says_nothing_is_unknown(name: str) -> None:
    assert read_medium(name) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CentOS-7-x86_64-DVD-1810.iso", ("7", "7.6.1810", "x86_64")),
        ("SL-68-x86_64-2016-06-29-DVD-DL.iso", ("6", "6.8", "x86_64")),
        ("debian-8.11.0-amd64-CD-1.iso", ("8", "8.11.0", "x86_64")),
        ("Fedora-Server-netinst-x86_64-41-1.4.iso", ("41", "41-1.4", "x86_64")),
        ("OracleLinux-R9-U4-aarch64-dvd.iso", ("9", "9.4", "aarch64")),
        ("debian-11.8.0-i386-netinst.iso", ("11", "11.8.0", "i686")),
    ],
)
def test_dates_discs_and_architectures_are_no_versions(
    name: str, expected: tuple[str, str, str]
) -> None:
    reading = read_medium(name)
    assert reading is not None
    assert (reading.os_version, reading.release, reading.arch) == expected


@pytest.mark.parametrize(
    ("label", "os_type", "version"),
    [
        ("ubuntu-2404", "ubuntu", "24.04"),
        ("ubuntu_24_04", "ubuntu", "24.04"),
        ("debian/13/uefi-lvm", "debian", "13"),
        ("rocky9", "rocky", "9"),
        ("win2k22", "windows-server", "2022"),
        ("Ubuntu Focal Fossa 20.04", "ubuntu", "20.04"),
        ("Debian Bookworm 12", "debian", "12"),
        ("bookworm", "debian", "12"),
        ("alpine/23", "alpine", None),
        ("debian10_64Guest", "debian", "10"),
    ],
)
def test_labels_are_read_too(label: str, os_type: str, version: str | None) -> None:
    reading = read_label(label)
    assert reading is not None
    assert (reading.os_type, reading.os_version) == (os_type, version)


def test_the_labelled_sample_is_answered_right() -> None:
    if not SAMPLE.exists():
        pytest.skip("the labelled sample ../shared/data/iso-names.json is not on this machine")
    rows = json.loads(SAMPLE.read_text(encoding="utf-8"))
    misses = {row["name"]: why for row in rows if (why := _miss(row)) is not None}
    assert misses.keys() == KNOWN_MISSES.keys(), misses


def _miss(row: dict[str, Any]) -> str | None:
    reading = read_medium(row["url"] if row["derivable"] == "url" else row["name"])
    if row["negative"] or row["derivable"] == "none":
        return None if reading is None else f"{reading} for a medium that tells nothing"
    if reading is None or reading.os_type not in row["accept_os"]:
        return f"{reading} instead of {row['os']}"
    if (reading.os_version or "") not in row["accept_versions"]:
        return f"{reading} instead of {row['accept_versions']}"
    return None


_words = st.sampled_from(
    [word for entry in DISTRIBUTIONS for word in (*entry.hints, *entry.codenames)]
    + ["-", "_", ".", "/", "://", "?", "%", "x86_64", "12", "24.04", "2019", "iso", "\ufffc"]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(_words, max_size=12).map("".join)))
def test_no_text_crashes_the_reader_and_every_answer_is_bounded(text: str) -> None:
    for reading in (read_medium(text), read_label(text)):
        assert reading is None or isinstance(reading, Reading)
        if reading is not None:
            assert reading.os_type
            assert len(f"{reading.os_version}{reading.release}") < 200


@pytest.mark.parametrize("piece", ["a-", "1.", "rhel-server-", "fedora/", "%25", "?a=b&", "x64_"])
def test_long_repetitions_are_read_without_running_away(piece: str) -> None:
    long_url = "https://example.org/centos.org/" + piece * 5000 + "/9-stream"
    for reading in (read_medium(piece * 100_000), read_medium(long_url)):
        assert (
            reading is None or len(f"{reading.os_type}{reading.os_version}{reading.release}") < 200
        )
