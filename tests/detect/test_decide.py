"""Evidence that agrees, disagrees, or says nothing."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.detect import determine_os_info, end_of_life_warning
from asyncpipe.detect.evidence import from_guest, from_name, from_options
from asyncpipe.model.identity import Evidence, GuestFacts, OsIdentity, Weight

GUEST_12 = from_guest(
    GuestFacts(
        marked=True,
        complete=True,
        os_release={"ID": "debian", "VERSION_ID": "12"},
        debian_version="12.11",
    )
)


def declared(version: str, release: str | None = None) -> Evidence:
    return Evidence(
        weight=Weight.DECLARED,
        kind="os_version",
        text=version,
        origin="a.pkr.hcl:3",
        os_type="debian",
        os_version=version,
        release=release,
    )


def test_nothing_is_unknown_and_no_error() -> None:
    assert determine_os_info([]) == OsIdentity()


def test_declared_iso_and_guest_of_one_series_are_told_but_do_not_change_the_place() -> None:
    iso = from_name("debian-12.8.0-amd64-netinst.iso")
    found = determine_os_info([declared("12", "12.9"), *iso, *GUEST_12])
    assert found.short_id == "debian12"
    assert found.release == "12.11"
    told = {(one.field, one.chosen, one.other) for one in found.conflicts}
    assert told == {("release", "12.11", "12.9"), ("release", "12.11", "12.8.0")}
    assert not any(one.series for one in found.conflicts)


def test_a_guest_of_another_series_than_the_iso_wins_and_is_a_series_conflict() -> None:
    found = determine_os_info([*from_name("debian-11.8.0-amd64-netinst.iso"), *GUEST_12])
    assert (found.short_id, found.release, found.arch) == ("debian12", "12.11", "x86_64")
    assert [one.field for one in found.conflicts if one.series] == ["os_version"]
    assert found.confidence < 0.7


def test_a_guest_of_another_system_is_a_series_conflict() -> None:
    found = determine_os_info([*from_name("ubuntu-24.04.4-live-server-amd64.iso"), *GUEST_12])
    assert found.short_id == "debian12"
    assert [(one.field, one.other, one.series) for one in found.conflicts] == [
        ("os_type", "ubuntu", True)
    ]


def test_what_was_asked_for_decides_the_place_even_against_the_guest() -> None:
    found = determine_os_info([*from_options("debian", "13"), *GUEST_12])
    assert found.short_id == "debian13"
    assert (found.release, found.codename) == ("12.11", "bookworm")  # the guest's truth, and told
    assert any(one.series for one in found.conflicts)


def test_options_may_complete_what_the_iso_says() -> None:
    found = determine_os_info([*from_options(None, "9"), *from_name("rocky-boot-x86_64.iso")])
    assert found.short_id == "rocky9"
    found = determine_os_info([*from_options(None, "9.4"), *from_name("rocky-boot-x86_64.iso")])
    assert (found.short_id, found.release) == ("rocky9", "9.4")


def test_options_take_codenames_aliases_and_unknown_systems() -> None:
    assert determine_os_info(from_options("ubuntu", "noble")).short_id == "ubuntu24.04"
    assert determine_os_info(from_options("rockylinux", "9.4")).short_id == "rocky9"
    assert determine_os_info(from_options("My OS", "1")).short_id == "my-os1"


def test_two_media_that_disagree_are_ambiguous() -> None:
    found = determine_os_info(
        [*from_name("debian-12.8.0-amd64-netinst.iso"), *from_name("Rocky-9.8-x86_64-boot.iso")]
    )
    assert found.os_type is None
    assert found.conflicts


def test_a_hardware_profile_never_contradicts_the_iso() -> None:
    profile = Evidence(
        weight=Weight.HARDWARE_PROFILE,
        kind="clone_template",
        text="Debian Bookworm 12",
        origin="a:1",
        os_type="debian",
        os_version="12",
    )
    found = determine_os_info([profile, *from_name("debian-13.5.0-amd64-netinst.iso")])
    assert (found.short_id, found.conflicts) == ("debian13", ())


def test_the_end_of_life_comes_from_the_table_and_is_warned_of() -> None:
    found = determine_os_info(from_name("fedora-server-34-1.2.x86_64.iso"))
    assert found.end_of_life == "2022-06-07"
    assert "2022-06-07" in (end_of_life_warning(found, date(2026, 1, 1)) or "")
    assert "30 days" in (end_of_life_warning(found, date(2022, 5, 8)) or "")
    assert end_of_life_warning(found, date(2021, 1, 1)) is None
    assert end_of_life_warning(OsIdentity(), date(2026, 1, 1)) is None


_optional = st.one_of(st.none(), st.sampled_from(["debian", "12", "13", "rolling", "12.1"]))


@given(
    st.lists(
        st.builds(
            Evidence,
            weight=st.sampled_from(Weight),
            kind=st.just("x"),
            text=st.text(max_size=5),
            origin=st.text(max_size=5),
            os_type=st.one_of(st.none(), st.sampled_from(["debian", "ubuntu"])),
            os_version=_optional,
            release=_optional,
            arch=_optional,
        ),
        max_size=8,
    )
)
def test_the_answer_is_always_one_of_the_heaviest_that_tell(evidence: list[Evidence]) -> None:
    found = determine_os_info(evidence)
    assert 0.0 <= found.confidence <= 1.0
    assert found.evidence == tuple(evidence)
    if found.os_type is not None:
        heaviest = max(one.weight for one in evidence if one.os_type)
        assert found.os_type in {one.os_type for one in evidence if one.weight == heaviest}


@pytest.mark.parametrize("version_id", ["13", ""])
def test_a_debian_version_of_another_series_is_told_and_names_no_release(version_id: str) -> None:
    release = {"ID": "debian", **({"VERSION_ID": version_id} if version_id else {})}
    facts = GuestFacts(marked=True, complete=True, os_release=release, debian_version="12.11")
    found = determine_os_info([*from_options("debian", "13"), *from_guest(facts)])
    assert found.short_id == "debian13"
    assert any(
        conflict.field == "os_version" and conflict.other == "12" for conflict in found.conflicts
    )
    assert found.release == ("13" if version_id else "12.11")


def seen(weight: Weight, os_type: str | None, version: str | None, **more: str) -> Evidence:
    named = {"kind": "seen", "text": "x", "origin": f"{weight.name}:{version}", **more}
    return Evidence(weight=weight, os_type=os_type, os_version=version, **named)


def fields(found: OsIdentity) -> list[tuple[str, str, str, bool]]:
    return [(one.field, one.chosen, one.other, one.series) for one in found.conflicts]


@pytest.mark.parametrize("url_arch", ["aarch64", "x86_64"])
def test_the_guest_names_the_architecture_and_another_one_is_a_conflict_but_not_of_the_series(
    url_arch: str,
) -> None:
    guest = seen(Weight.GUEST, "debian", "12", arch="x86_64")
    asked = seen(Weight.DECLARED, "debian", "12", arch="aarch64")
    url = seen(Weight.ISO_URL, "debian", "12", arch=url_arch)
    label = seen(Weight.LABEL, "debian", "12", arch="riscv64")
    found = determine_os_info([asked, guest, url, label])
    assert found.arch == "x86_64"
    told = [("arch", "x86_64", "aarch64", False)]
    assert fields(found) == told * (1 + (url_arch == "aarch64"))
    assert found.confidence > 0.9


def test_names_of_one_weight_that_name_two_systems_are_ambiguous_without_versions_too() -> None:
    found = determine_os_info(
        [seen(Weight.ISO_NAME, "debian", None), seen(Weight.ISO_NAME, "ubuntu", None)]
    )
    assert found.os_type is None
    assert found.confidence == 0.0


def test_an_unmarked_os_release_of_the_same_system_refines_it() -> None:
    guest = {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}
    facts = GuestFacts(marked=False, complete=False, os_release=guest, debian_version="12.11")
    found = determine_os_info([*from_name("debian-12.8.0-amd64-netinst.iso"), *from_guest(facts)])
    assert (found.short_id, found.release) == ("debian12", "12.11")
    assert found.pretty_name == "Debian GNU/Linux 12 (bookworm)"


@pytest.mark.parametrize(("system", "version"), [("alpine", "3.19"), ("debian", "11")])
def test_a_container_s_os_release_in_the_log_changes_nothing(system: str, version: str) -> None:
    guest = {"ID": system, "VERSION_ID": version, "PRETTY_NAME": "A container"}
    facts = GuestFacts(marked=False, complete=False, os_release=guest)
    iso = from_name("debian-12.8.0-amd64-netinst.iso")
    found = determine_os_info([*iso, *from_guest(facts)])
    alone = determine_os_info(iso)
    assert (found.short_id, found.release) == (alone.short_id, alone.release)
    assert (found.pretty_name, found.conflicts) == (None, ())


def test_a_url_that_names_a_derivative_outweighs_the_os_release_of_its_base() -> None:
    guest = seen(Weight.GUEST, "debian", "12", kind="os-release", text="Debian GNU/Linux 12")
    found = determine_os_info([seen(Weight.ISO_URL, "proxmox-ve", "8.3"), guest])
    assert found.short_id == "proxmox-ve8.3"
    assert found.pretty_name is None


def test_what_the_guest_says_of_another_series_beside_its_os_release_names_no_release() -> None:
    other = seen(Weight.GUEST, "debian", "12", kind="debian_version", release="12.11")
    found = determine_os_info([*from_options("debian", "13"), other])
    assert (found.short_id, found.release) == ("debian13", None)


def test_a_medium_of_another_series_than_asked_for_names_neither_release_nor_codename() -> None:
    iso = from_name("debian-12.8.0-amd64-netinst.iso")
    found = determine_os_info([*from_options("debian", "13"), *iso])
    assert found.short_id == "debian13"
    assert found.release != "12.8.0"
    assert found.codename != "bookworm"


def test_a_url_with_another_point_release_than_the_guest_s_is_reported() -> None:
    found = determine_os_info(
        [*GUEST_12, seen(Weight.ISO_URL, "debian", "12", release="12.9"), declared("12")]
    )
    assert fields(found) == [("release", "12.11", "12.9", False)]


def test_the_place_is_as_exact_as_the_table_says_and_no_more() -> None:
    found = determine_os_info([declared("12"), seen(Weight.ISO_NAME, "debian", "12.11")])
    assert found.short_id == "debian12"


def test_a_hypervisor_that_nothing_else_names_is_the_system() -> None:
    assert determine_os_info([seen(Weight.LABEL, "xcp-ng", "8.3")]).short_id == "xcp-ng8.3"


def test_conflicts_are_bounded() -> None:
    media = [seen(Weight.DECLARED, "debian", "12")]
    media += [seen(Weight.ISO_NAME, "debian", str(number)) for number in range(13, 63)]
    assert len(determine_os_info(media).conflicts) == 20


def test_confidence_falls_with_a_missing_series_and_with_a_conflict_and_has_two_decimals() -> None:
    asked = seen(Weight.DECLARED, "debian", None)
    assert determine_os_info([asked]).confidence == 0.76
    assert determine_os_info([asked, seen(Weight.ISO_NAME, "ubuntu", None)]).confidence == 0.46
