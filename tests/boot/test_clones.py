"""Clones of Debian 12, 13 and Ubuntu 24.04 start in QEMU and are what their owners expect.

One of them: ``-k debian12-a``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot import disk
from tests.boot.clones import CLONES, SYSTEMS, Seen, seen, settings_not_in_force
from tests.templates.needs import need_root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(14400)]

_FOUND: dict[tuple[str, str], dict[str, Seen] | Exception] = {}


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    need_root()
    # A short path: QEMU's socket has to fit.
    folder = Path(tempfile.mkdtemp(prefix="boot-", dir=os.environ.get("ASYNCPIPE_TEST_BOOT_DIR")))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def found(system: str, name: str, work: Path) -> dict[str, Seen]:
    """What that clone said; it is started once, also if that fails."""
    if (system, name) not in _FOUND:
        try:
            _FOUND[system, name] = seen(system, name, work)
        except Exception as error:  # noqa: BLE001 - raised below, for each test that asks
            _FOUND[system, name] = error
    result = _FOUND[system, name]
    if isinstance(result, Exception):
        raise result
    return result


@pytest.fixture(scope="module", params=list(SYSTEMS))
def system(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=list(CLONES))
def clone(request: pytest.FixtureRequest, system: str, work: Path) -> tuple[str, str, Seen]:
    return system, request.param, found(system, request.param, work)[request.param]


Clone = tuple[str, str, Seen]


def test_nothing_failed_and_cloud_init_is_done(clone: Clone) -> None:
    said = clone[2].facts
    assert (said["failed"], said["running"]) == ("", "running")
    assert said["cloud-init"] == "done"


def test_it_was_started_by_the_firmware_asked_for(clone: Clone) -> None:
    assert clone[2].facts["firmware"] == CLONES[clone[1]].firmware


def test_cloud_init_took_the_drive(clone: Clone) -> None:
    wanted = {"nocloud": "NoCloud", "configdrive": "ConfigDrive", "none": "None"}
    assert wanted[CLONES[clone[1]].drive] in clone[2].facts["datasource"]


def test_it_has_the_name_of_its_drive(clone: Clone) -> None:
    system, name, said = clone
    if CLONES[name].drive != "none":
        assert said.facts["hostname"] == f"{system}-{name}"


def test_sudo_says_nothing(clone: Clone) -> None:
    assert clone[2].facts["sudo"] == ""


def test_its_root_file_system_grew(clone: Clone) -> None:
    size_mib = int(clone[2].facts["root-size"].removesuffix("M"))
    assert size_mib > disk.BUILT_MIB * 1.5


def test_its_host_keys_are_the_two_kinds_that_sshd_uses(clone: Clone) -> None:
    files = clone[2].facts["host-key-files"].split()
    assert files == ["ssh_host_ed25519_key", "ssh_host_rsa_key"]


def test_its_dhcp_client_lives_past_the_first_lease(clone: Clone) -> None:
    assert clone[2].renewed


def test_its_clock_is_synchronised(clone: Clone) -> None:
    assert clone[2].facts["clock"] == "yes"


def test_dhcp_leaves_no_martians_in_the_log(clone: Clone) -> None:
    if SYSTEMS[clone[0]].profile != "strict":
        assert clone[2].facts["martians"] == "0"


def test_router_advertisements_are_taken_unless_strict(clone: Clone) -> None:
    taken = "2001:db8:" in clone[2].facts["ipv6"]
    assert taken is (SYSTEMS[clone[0]].profile != "strict")


def test_the_settings_in_force_are_those_of_its_profile(clone: Clone) -> None:
    assert settings_not_in_force(clone[2].settings) == [], clone[2].settings


def test_two_clones_share_no_identity(system: str, work: Path) -> None:
    one, two = (found(system, name, work)[name].facts for name in "ab")
    assert len(one["machine-id"]) == 32
    assert one["machine-id"] != two["machine-id"]
    assert not set(one["host-keys"].split()) & set(two["host-keys"].split())


def test_the_same_disk_starts_by_the_other_firmware_with_a_renamed_interface(
    system: str, work: Path
) -> None:
    clones = found(system, "a", work)
    once, again = clones["a"].facts, clones["a-again"].facts
    assert (once["firmware"], again["firmware"]) == ("bios", "uefi")
    assert again["failed"] == ""
    assert once["interface"] != again["interface"]
    assert again["ipv4"] != ""
    assert again["hostname"] == once["hostname"]
    assert again["machine-id"] == once["machine-id"]
    assert again["host-keys"] == once["host-keys"]
