"""Kinds of evidence that once named the wrong system, each with several of its members."""

# ruff: noqa: E501 -- one member a line is easier to compare

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from asyncpipe import template
from asyncpipe.detect import determine_os_info
from asyncpipe.detect.evidence import (
    from_guest,
    from_name,
    from_options,
    from_packer,
    from_template,
)
from asyncpipe.detect.guest import GuestCollector, facts_of
from asyncpipe.detect.medium import MediumCollector
from asyncpipe.detect.names import read_label, read_medium, version_of
from asyncpipe.model.identity import OsIdentity


def written(folder: Path, source: str, variables: str = "", label: str = "vm") -> Path:
    text = f'{variables}\nsource "xenserver-iso" "{label}" {{\n{source}\n}}\n'
    file = folder / "a.pkr.hcl"
    file.write_text(text + f'build {{ sources = ["xenserver-iso.{label}"] }}\n', encoding="utf-8")
    return file


def identity_of(file: Path) -> OsIdentity:
    return determine_os_info(from_template(template.load(file)))


def guest_said(*lines: str) -> OsIdentity:
    return determine_os_info(from_guest(facts_of(lines)))


def block(*os_release: str) -> list[str]:
    lines = ["begin", *(f"os-release {one}" for one in os_release), f"end {len(os_release)}"]
    return [f"    xenserver-iso.vm: asyncpipe-evidence/1 {one}" for one in lines]


@pytest.mark.parametrize(
    ("label", "os_type", "version"),
    [
        ("debian-13-xcp-ng", "debian", "13"),
        ("rocky9-xenserver", "rocky", "9"),
        ("packer-proxmox-debian", "debian", None),
        ("xcp-ng-8.3-ubuntu-2404", "ubuntu", "24.04"),
        ("esxi-win2k22", "windows-server", "2022"),
    ],
)
def test_a_hypervisor_in_a_label_names_the_place_of_the_build(
    label: str, os_type: str, version: str | None
) -> None:
    found = read_label(label)
    assert found is not None
    assert (found.os_type, found.os_version) == (os_type, version)


@pytest.mark.parametrize("platform", ["esxi", "xcp-ng", "proxmox", "xenserver-8"])
def test_a_label_that_is_a_hypervisor_yields_to_any_other_name(
    tmp_path: Path, platform: str
) -> None:
    file = written(tmp_path, '  vm_name = "rocky-9-base"', label=platform)
    assert identity_of(file).short_id == "rocky9"


@pytest.mark.parametrize("name", ["packer-xcp-ng", "proxmox", "esxi-templates"])
def test_a_folder_named_after_a_hypervisor_names_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert identity_of(written(tmp_path / name, '  vm_name = "base"')).os_type is None


@pytest.mark.parametrize(
    "url",
    [
        "https://xcpng01.example.org/isos/custom.iso",
        "https://esxi7.example.org/iso/image.iso",
        "https://debian.example.org/isos/custom.iso",
        "https://pve.example.org/template/iso/disk.iso",
    ],
)
def test_a_host_alone_names_nothing(url: str) -> None:
    assert read_medium(url) is None


@pytest.mark.parametrize(
    ("os", "version", "short_id"),
    [
        *(("windows", year, f"win2k{year[2:]}") for year in ("2016", "2019", "2022", "2025")),
        ("windows", "11", "win11"),
        ("sles", "15-SP6", "sle15sp6"),
        ("centos", "9-stream", "centos-stream9"),
        ("ubuntu", "22.04 LTS", "ubuntu22.04"),
        ("ubuntu", "2404", "ubuntu24.04"),
        ("rocky", "el9", "rocky9"),
        ("debian", "latest", "debian"),
        ("almalinux", "stable", "almalinux"),
        ("fedora", "current", "fedora"),
    ],
)
def test_a_version_that_is_stated_is_read_as_people_write_it(
    tmp_path: Path, os: str, version: str, short_id: str
) -> None:
    assert determine_os_info(from_options(os, version)).short_id == short_id
    variables = f'variable "os_name" {{ default = "{os}" }}\nvariable "os_version" {{ default = "{version}" }}'
    assert identity_of(written(tmp_path, "", variables)).short_id == short_id


@pytest.mark.parametrize(
    ("os", "version", "iso", "short_id"),
    [
        ("photon", "5", "photon-5.0-dde71ec57.x86_64.iso", "photon5.0"),
        ("freebsd", "14", "FreeBSD-14.1-RELEASE-amd64-disc1.iso", "freebsd14.1"),
        ("alpine", "3", "alpine-virt-3.19.1-x86_64.iso", "alpinelinux3.19"),
        ("windows", "2022", "en-us_windows_server_2022_x64_dvd_620d7eac.iso", "win2k22"),
        ("sles", "15-SP6", "SLE-15-SP6-Full-x86_64-GM-Media1.iso", "sle15sp6"),
        ("centos", "9-stream", "CentOS-Stream-9-latest-x86_64-dvd1.iso", "centos-stream9"),
    ],
)
def test_a_version_that_begins_like_the_medium_agrees_with_it(
    os: str, version: str, iso: str, short_id: str
) -> None:
    found = determine_os_info([*from_options(os, version), *from_name(iso)])
    assert found.short_id == short_id
    assert not [one for one in found.conflicts if one.series]


def test_a_version_alone_is_read_as_that_of_the_medium() -> None:
    found = determine_os_info([*from_options(None, "15-SP6"), *from_name("SLES-x86_64.iso")])
    assert version_of("sles", "15-SP6").os_version == "15.6"
    assert found.os_type in {"sles", None}


@pytest.mark.parametrize(
    ("iso", "claims", "short_id"),
    [
        ("proxmox-ve_8.3-1.iso", ["ID=debian", 'VERSION_ID="12"'], "proxmox-ve8.3"),
        (
            "proxmox-backup-server_4.1-1.iso",
            ["ID=debian", 'VERSION_ID="13"'],
            "proxmox-backup-server4.1",
        ),
        ("MX-23.4_x64.iso", ["ID=debian", 'VERSION_ID="12"'], "mx23"),
        ("TrueNAS-SCALE-24.10.0.2.iso", ["ID=debian", 'VERSION_ID="12"'], "truenas-scale24.10"),
        (
            "fedora-coreos-41.20250117.3.0-live.x86_64.iso",
            ["ID=fedora", "VERSION_ID=41"],
            "fedora-coreos41",
        ),
    ],
)
def test_a_derivative_is_not_taken_for_what_it_is_made_from(
    iso: str, claims: list[str], short_id: str
) -> None:
    found = determine_os_info([*from_name(iso), *from_guest(facts_of(block(*claims)))])
    assert found.short_id == short_id
    assert not [one for one in found.conflicts if one.series]


@pytest.mark.parametrize(
    ("claims", "short_id"),
    [
        (["ID=fedora", "VERSION_ID=41", "VARIANT_ID=coreos"], "fedora-coreos41"),
        (['ID="sled"', 'VERSION_ID="15.6"'], "sled15.6"),
        (['ID="sles_sap"', 'VERSION_ID="15.6"'], "sle15sp6"),
        (['ID="xenenterprise"', 'NAME="XCP-ng"', 'VERSION_ID="8.3.0"'], "xcp-ng8.3"),
        (['ID="xenenterprise"', 'NAME="XenServer"', 'VERSION_ID="8.4.0"'], "xenserver8.4"),
        (['ID="xenenterprise"', 'VERSION_ID="8.4.0"'], None),
        (
            ["ID=alpine", "VERSION_ID=3.23_alpha20250612", 'PRETTY_NAME="Alpine Linux edge"'],
            "alpinelinuxedge",
        ),
    ],
)
def test_an_os_release_names_the_variant_that_it_is(
    claims: list[str], short_id: str | None
) -> None:
    found = guest_said(*block(*claims))
    assert found.short_id == short_id
    assert found.release is None or found.release[0].isdigit()
    assert "alpha" not in (found.release or "")


CONTAINER = ["    x.vm: ID=alpine", "    x.vm: VERSION_ID=3.19.1", "    x.vm: done"]


@pytest.mark.parametrize(
    "iso",
    ["debian-12.8.0-amd64-netinst.iso", "Rocky-9.6-x86_64-minimal.iso", "win2k22.iso"],
)
def test_an_os_release_of_a_container_does_not_replace_the_medium(iso: str) -> None:
    alone = determine_os_info(from_name(iso))
    found = determine_os_info([*from_name(iso), *from_guest(facts_of(CONTAINER))])
    assert (found.os_type, found.os_version) == (alone.os_type, alone.os_version)
    assert not found.conflicts


def test_two_os_release_files_of_different_systems_say_nothing() -> None:
    assert (
        guest_said(*CONTAINER, "    x.vm: ID=debian", '    x.vm: VERSION_ID="12"', "").os_type
        is None
    )


@pytest.mark.parametrize(
    ("lines", "short_id", "release"),
    [
        (
            ["OS Name:                   Microsoft Windows Server 2022 Standard", "OS Version:                10.0.20348 N/A Build 20348"],
            "win2k22",
            "20348",
        ),
        (["OS Name:    Microsoft Windows 11 Pro", "OS Version:  10.0.26100 N/A Build 26100"], "win11", "26100"),
        (["Microsoft Windows [Version 10.0.20348.169]"], "win2k22", "20348.169"),
        (["Microsoft Windows [Version 10.0.22631.3447]"], "win11", "22631.3447"),
        (["Microsoft Windows [Version 10.0.26100.1742]"], None, None),  # Windows 11 or Server 2025
    ],
)  # fmt: skip
def test_windows_says_what_it_is_by_systeminfo_and_ver(
    lines: list[str], short_id: str | None, release: str | None
) -> None:
    found = guest_said(*(f"    xenserver-iso.win: {one}" for one in lines))
    assert (found.short_id, found.release) == (short_id, release)


def test_a_log_with_stamps_is_read_as_the_build_itself(tmp_path: Path) -> None:
    lines = block("ID=debian", 'VERSION_ID="12"')
    stamped = [f"2026-11-26T19:00:00.123Z {line}" for line in lines]
    collector = GuestCollector()
    for line in lines:
        collector.feed_line(line)
    assert facts_of(stamped) == facts_of(lines) == collector.facts()
    assert facts_of(stamped).marked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("debian-12.9.0-amd64-netinst.iso", "debian-13.5.0-amd64-netinst.iso"),
        ("Rocky-9.6-x86_64-minimal.iso", "https://download.rockylinux.org/pub/rocky/8/isos/x86_64/Rocky-x86_64-boot.iso"),
        ("win2k22.iso", "win2k19.iso"),
    ],
)  # fmt: skip
def test_sources_of_one_system_with_different_versions_disagree(
    tmp_path: Path, one: str, other: str
) -> None:
    os = determine_os_info(from_name(one)).os_type
    text = f'variable "os_name" {{ default = "{os}" }}\n' + "".join(
        f'source "xenserver-iso" "{label}" {{ iso_url = "{iso}" }}\n'
        for label, iso in (("a", one), ("b", other))
    )
    file = tmp_path / "a.pkr.hcl"
    file.write_text(text + 'build { sources = ["xenserver-iso.a", "xenserver-iso.b"] }\n')
    loaded = template.load(file)
    whole = determine_os_info(from_template(loaded))
    assert whole.os_type is None
    assert [one for one in whole.conflicts if one.series]
    answers = {determine_os_info(from_template(loaded, each)).short_id for each in loaded.sources}
    assert len(answers) == 2


@pytest.mark.parametrize(
    ("label", "os_type", "version"),
    [
        ("ubuntu/22-04-lts", "ubuntu", "22.04"),
        ("windows/desktop/11", "windows", "11"),
        ("oracle/9", "oraclelinux", "9"),
        ("windows/server/2022", "windows-server", "2022"),
    ],
)
def test_folders_of_public_repositories_are_read(label: str, os_type: str, version: str) -> None:
    found = read_label(label)
    assert found is not None
    assert (found.os_type, found.os_version) == (os_type, version)


def tried(lines: Iterable[str]) -> str | None:
    collector = MediumCollector()
    for line in lines:
        collector.feed_line(line)
    return collector.url


RETRIEVING = [
    "==> xenserver-iso.vm: Retrieving ISO",
    "==> xenserver-iso.vm: Trying https://one.example.org/debian-12.9.0-amd64-netinst.iso",
    "==> xenserver-iso.vm: Trying https://two.example.org/debian-13.5.0-amd64-netinst.iso?checksum=x",
    "==> xenserver-iso.vm: https://two.example.org/debian-13.5.0-amd64-netinst.iso => /cache/x.iso",
]


@pytest.mark.parametrize("prefix", ["", "\x1b[1;32m"])
def test_what_packer_retrieves_is_the_medium(prefix: str) -> None:
    url = tried(prefix + line for line in RETRIEVING)
    assert url is not None
    found = determine_os_info([*from_name("debian-12.9.0-amd64-netinst.iso"), *from_packer(url)])
    assert found.short_id == "debian13"
    assert [one.other for one in found.conflicts if one.series] == ["12"]


@pytest.mark.parametrize(
    "forged",
    [
        "    xenserver-iso.vm: Trying https://x/ubuntu-24.04-live-server-amd64.iso",
        "==> xenserver-iso.vm: Trying https://x/ubuntu-24.04-live-server-amd64.iso",
        "Trying https://x/ubuntu-24.04-live-server-amd64.iso",
    ],
)
def test_the_guest_cannot_say_what_packer_retrieved(forged: str) -> None:
    before, after = [forged], [*RETRIEVING, "==> xenserver-iso.vm: Creating VM", forged]
    assert tried(before) is None
    assert tried(after) == tried(RETRIEVING)


@pytest.mark.parametrize(
    ("os_type", "media"),
    [
        ("azure-stack-hci", {"AzureStackHCI_17784.1408_EN-US.iso": "20h2", "AzureStackHCI_20348.587_en-us.iso": "21h2", "AzureLocal23H2.25398.469.LCM.12.2411.1.3034_x64_en-us.iso": "23h2"}),
        ("macos", {"Install macOS Ventura.iso": "13", "macOS_Sonoma_14.5.iso": "14", "macos-15.1-sequoia.iso": "15"}),
        ("alt", {"alt-virtualization-pve-11.0-x86_64.iso": "11.0", "alt-server-v-10.2-x86_64.iso": "10.2", "alt-pve-8.2-x86_64.iso": "8.2"}),
        ("slackware", {"slackware64-15.0-install-dvd.iso": "15.0", "slackware-14.2-install-d1.iso": "14.2", "slackware64-current-install-dvd.iso": "current"}),
        ("hyperbola", {"hyperbola-milky-way-v0.4.3-dual.iso": "0.4", "hyperbola-milky-way-v0.4-core.iso": "0.4", "hypertalking-milky-way-v0.4-core.iso": "0.4"}),
        ("opensuse-tumbleweed", {"openSUSE-Tumbleweed-GNOME-Live-x86_64-Current.iso": "rolling", "openSUSE-Tumbleweed-DVD-aarch64-Snapshot20260101-Media.iso": "rolling", "openSUSE-Tumbleweed-NET-x86_64-Current.iso": "rolling"}),
        ("kylin", {"Kylin-Desktop-V10-SP1-HWE-Release-2303-X86_64.iso": "10.1", "Kylin-Server-V11-2503-Release-x86_64.iso": "11", "Kylin-Server-10-SP2-Release-Build09-20210524-x86_64.iso": "10.2"}),
        ("redos", {"redos-MUROM-7.3.2-20221027.0-Everything-x86_64-DVD1.iso": "7.3", "redos-8-20240218.1-Everything-x86_64-DVD1.iso": "8", "RED-OS-8.0.iso": "8.0"}),
        ("astra", {"installation-1.7.5.9-16.10.23_16.58.iso": "1.7", "alse-1.8.1.6-installer.iso": "1.8", "orel-2.12.46.iso": "2.12"}),
        ("solaris", {"sol-11_4-text-x86.iso": "11.4", "sol-11_4_42_111-text-x86.iso": "11.4", "sol-11_4-ai-x86.iso": "11.4"}),
        ("ubuntu", {"jammy-amd64.iso": "22.04", "noble-live-server-amd64.iso": "24.04", "focal-server-cloudimg-amd64.img": "20.04"}),
    ],
)  # fmt: skip
def test_media_that_were_misread_name_their_system(os_type: str, media: dict[str, str]) -> None:
    found = {name: read_medium(name) for name in media}
    assert {one.os_type if one else None for one in found.values()} == {os_type}
    assert {name: one.os_version if one else None for name, one in found.items()} == media
