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
