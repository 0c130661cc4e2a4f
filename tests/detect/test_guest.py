"""What the guest prints in the build log."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncpipe.detect import determine_os_info, evidence
from asyncpipe.detect.guest import MAX_OS_RELEASE_LINES, MAX_PACKAGES, GuestCollector
from asyncpipe.model.identity import GuestFacts, OsIdentity

BLOCK = [
    "os-release ID=debian",
    'os-release VERSION_ID="12"',
    'os-release PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"',
    "os-release VERSION_CODENAME=bookworm",
    "debian-version 12.11",
    "kernel 6.1.0-37-amd64",
    "arch x86_64",
    "hardening-profile baseline",
    "agent xe-guest-utilities 8.4.0",
    "package openssh-server 1:9.2p1-2 amd64",
    "package tzdata 2025b-0",
]


def printed(lines: list[str], count: int | None = None) -> list[str]:
    whole = ["begin", *lines, f"end {len(lines) if count is None else count}"]
    return [f"    xenserver-iso.debian: asyncpipe-evidence/1 {line}" for line in whole]


def collect(lines: list[str]) -> GuestFacts:
    collector = GuestCollector()
    for line in lines:
        collector.feed_line(line)
    return collector.facts()


def identity(facts: GuestFacts) -> OsIdentity:
    return determine_os_info(evidence.from_guest(facts))


def test_a_complete_block_tells_everything() -> None:
    facts = collect(printed(BLOCK))
    assert facts.marked
    assert facts.complete
    assert facts.debian_version == "12.11"
    assert facts.kernel == "6.1.0-37-amd64"
    assert facts.hardening_profile == "baseline"
    assert facts.agent == "xe-guest-utilities 8.4.0"
    assert [package.name for package in facts.packages] == ["openssh-server", "tzdata"]
    found = identity(facts)
    assert (found.short_id, found.release, found.codename) == ("debian12", "12.11", "bookworm")
    assert (found.arch, found.confidence) == ("x86_64", 1.0)
    assert found.pretty_name == "Debian GNU/Linux 12 (bookworm)"


def test_lines_of_other_builds_in_between_do_no_harm() -> None:
    lines = [
        line for pair in zip(printed(BLOCK), ["==> b: hello"] * 99, strict=False) for line in pair
    ]
    assert collect(lines) == collect(printed(BLOCK))


def test_a_block_that_lost_lines_is_not_trusted_as_a_block() -> None:
    facts = collect(printed(BLOCK, count=99))
    assert not facts.marked
    assert not facts.complete
    found = identity(facts)
    assert found.short_id == "debian12"
    assert found.confidence < 1.0


def test_a_complete_block_is_not_replaced_by_a_broken_one() -> None:
    broken = printed([line.replace("debian", "ubuntu") for line in BLOCK], count=1)
    assert collect(printed(BLOCK) + broken).os_release["ID"] == "debian"


def test_a_command_that_is_only_echoed_is_no_evidence() -> None:
    lines = [line.replace("asyncpipe", "+ echo asyncpipe") for line in printed(BLOCK)]
    assert collect(lines) == GuestFacts()


@pytest.mark.parametrize(
    "prefix", ["", "    xenserver-iso.a: ", "==> qemu.x: ", "\x1b[0;32m    q.x: "]
)
def test_an_os_release_file_in_the_log_counts_a_little(prefix: str) -> None:
    lines = ['PRETTY_NAME="Rocky Linux 9.6"', 'ID="rocky"', 'VERSION_ID="9.6"', "X"]
    facts = collect([prefix + line for line in lines])
    assert not facts.marked
    found = identity(facts)
    assert (found.short_id, found.release) == ("rocky9", "9.6")
    assert 0 < found.confidence < 1


def test_assignments_that_are_no_os_release_are_ignored() -> None:
    assert collect(["    a: ID=12", "    a: FOO=bar", "done"]) == GuestFacts()


@pytest.mark.parametrize(
    ("lines", "short_id", "release"),
    [
        (["ID=centos", 'NAME="CentOS Stream"', 'VERSION_ID="9"'], "centos-stream9", "9"),
        (["ID=ubuntu", 'VERSION_ID="24.04"', 'VERSION="24.04.2 LTS"'], "ubuntu24.04", "24.04.2"),
        (['ID="ol"', 'VERSION_ID="9.4"'], "ol9", "9.4"),
        (['ID="sles"', 'VERSION_ID="15.6"'], "sle15sp6", "15.6"),
        (['ID="opensuse-leap"', 'VERSION_ID="15.6"'], "opensuse15.6", "15.6"),
        (["ID=alpine", "VERSION_ID=3.19.1"], "alpinelinux3.19", "3.19.1"),
        (["ID=arch", 'PRETTY_NAME="Arch Linux"'], "archlinux", None),
        (["ID=debian", "VERSION_CODENAME=trixie"], "debian13", None),
        (["ID=somethingelse", "VERSION_ID=7"], "somethingelse7", "7"),
    ],
)
def test_os_release_of_each_family(lines: list[str], short_id: str, release: str | None) -> None:
    found = identity(collect(printed([f"os-release {line}" for line in lines])))
    assert (found.short_id, found.release) == (short_id, release)


def test_a_chatty_guest_is_bounded() -> None:
    lines = [f"package p{i} 1" for i in range(MAX_PACKAGES + 5)]
    lines += [f"os-release K{i}=v" for i in range(MAX_OS_RELEASE_LINES + 5)]
    lines += ["kernel " + "x" * 10_000]
    facts = collect(printed(lines))
    assert len(facts.packages) == MAX_PACKAGES
    assert len(facts.os_release) == MAX_OS_RELEASE_LINES
    assert len(facts.kernel or "") <= 300


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=80),
            st.text(max_size=40).map(lambda text: f"asyncpipe-evidence/1 {text}"),
            st.sampled_from(printed(BLOCK)),
            st.text(max_size=20).map(lambda text: f"ID={text}"),
            st.text(max_size=20).map(lambda text: f"VERSION_ID={text}"),
        ),
        max_size=30,
    )
)
def test_no_lines_crash_the_collector_or_the_decision(lines: list[str]) -> None:
    found = identity(collect(lines))
    assert found.short_id is None or found.short_id.isprintable()
