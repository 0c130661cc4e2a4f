"""Clones of Debian 12, 13 and Ubuntu 24.04 start in QEMU and are what their owners expect.

Each system: a clone by BIOS and one by UEFI with a NoCloud drive, one with a ConfigDrive, one
without a drive. ``docs/templates.md`` has the table of what was run.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot import disk, machine
from tests.boot.network import LEASE_S, network
from tests.provisioning.trees import Tree
from tests.templates.needs import REPO, cache_dir, need_root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(5400)]

SYSTEMS = {
    "debian12": ("bookworm", "baseline"),
    "debian13": ("trixie", "strict"),
    "ubuntu24.04": ("noble", "baseline"),
}
# What each clone is started by and with.
CLONES = {
    "a": ("bios", "nocloud"),
    "b": ("uefi", "nocloud"),
    "c": ("bios", "configdrive"),
    "d": ("uefi", "none"),
}

# What a machine says of itself: one "name: value" a line, in any order.
_LOOK = r"""
exec 2>&1
say() { printf '%s: %s\n' "$1" "$(tr '\n' ' ' | sed 's/ *$//')"; }
sudo cloud-init status --wait --long >/tmp/cloud-status
sed -n 's/^status: //p' /tmp/cloud-status | say cloud-init
sed -n 's/^detail: *//p' /tmp/cloud-status | say datasource
timeout 600 systemctl is-system-running --wait | say running
systemctl --failed --plain --no-legend | cut -d' ' -f1 | say failed
hostname | say hostname
sudo true 2>&1 | say sudo
cat /etc/machine-id | say machine-id
cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2 | sort | say host-keys
ls /etc/ssh | grep '_key$' | say host-key-files
df --output=size -BM / | tail -n 1 | say root-size
ip -o -4 addr show scope global | say ipv4
ip -o -6 addr show scope global | say ipv6
networkctl --no-pager --no-legend list | say links
for try in $(seq 60); do
    [ "$(timedatectl show -p NTPSynchronized --value)" = yes ] && break
    sleep 5
done
timedatectl show -p NTPSynchronized --value | say clock
sudo journalctl -b -k --no-pager | grep -ci martian | say martians
sudo journalctl -b -p err --no-pager -q | tail -n 20 | say errors
[ -d /sys/firmware/efi ] && echo uefi | say firmware
[ -d /sys/firmware/efi ] || echo bios | say firmware
sudo cat /etc/iscsi/initiatorname.iscsi 2>/dev/null | say iscsi
systemd-analyze time 2>/dev/null | head -n 1 | say startup
umask | say umask
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one clone said after its first start."""

    facts: dict[str, str]
    login_s: float
    settings: str  # verify_image.sh --settings in the running clone
    renewed: bool


def facts(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+): ?(.*)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    need_root()
    # A short path: QEMU's socket has to fit.
    folder = Path(tempfile.mkdtemp(prefix="boot-", dir=os.environ.get("ASYNCPIPE_TEST_BOOT_DIR")))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def seen(system: str, name: str, work: Path) -> Seen:
    """Start the clone once; what was seen is kept beside the test's cache, for the table."""
    suite, profile = SYSTEMS[system]
    firmware, kind = CLONES[name]
    here = work / f"{system}-{name}"
    here.mkdir()
    key, public = machine.make_key(work)
    host = f"{system.replace('.', '')}-{name}"
    drives = {"nocloud": machine.nocloud, "configdrive": machine.config_drive}
    drive = drives[kind](host, public) if kind in drives else None
    template = disk.provisioned_disk(suite, profile, here)
    copy = disk.clone(template, here / "disk.raw")
    if drive is None:
        _give_account(copy, here, public)
    with (
        network(f"ap-{os.getpid()}", here) as net,
        machine.started(
            copy, net, here, key, firmware=firmware, drive=drive, mac=_mac(system, name)
        ) as running,
    ):
        login_s = running.wait_for_ssh()
        result = Seen(
            facts=facts(running.ssh(_LOOK, timeout_s=1500).stdout),
            login_s=login_s,
            settings=_settings(running, profile),
            renewed=_renewed(running),
        )
        _record(system, name, result)
        running.power_down()
    copy.unlink()
    return result


def _mac(system: str, name: str) -> str:
    return f"52:54:00:00:{list(SYSTEMS).index(system):02x}:{ord(name):02x}"


def _give_account(copy: Path, here: Path, public: str) -> None:
    """Nobody can log in to a clone without a drive: the test looks in by an account of its own."""
    with disk.mounted(copy, here) as system:
        tree = Tree(root=system.root)
        commands = (
            "useradd --create-home --shell /bin/bash admin && cd ~admin && mkdir -m 700 .ssh &&"
            f" echo '{public}' >.ssh/authorized_keys && chown -R admin: .ssh &&"
            " echo 'admin ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/admin"
        )
        result = tree.run("sh", "-c", f"umask 022; {commands}")
        assert result.returncode == 0, result.stdout


def _settings(running: machine.Machine, profile: str) -> str:
    """The verification's settings, read in the running clone."""
    folder = REPO / "provisioning/common"
    files = "".join(
        f"cat >{path.name} <<'END-OF-FILE'\n{path.read_text()}\nEND-OF-FILE\n"
        for path in sorted(folder.iterdir())
        if path.name in {"lib.sh", "verify_image.sh", "verify_settings.sh", "leftovers.tsv"}
    )
    command = f"sudo HARDENING_PROFILE={profile} bash ./verify_image.sh --settings 2>&1"
    return running.ssh(f"mkdir -p ~/verify && cd ~/verify\n{files}{command}").stdout


def _renewed(running: machine.Machine) -> bool:
    """Whether a client that still runs renewed the lease, past the end of the one seen now."""
    first = running.network.lease()
    assert first is not None
    until = time.monotonic() + 3 * LEASE_S
    while time.monotonic() < until:
        now = running.network.lease()
        if now is not None and now[0] > first[0] and time.time() > first[0]:
            return now[1] == first[1] and running.ssh("true").returncode == 0
        time.sleep(5)
    return False


def _record(system: str, name: str, result: Seen) -> None:
    record = {
        "system": system,
        "clone": name,
        "firmware": CLONES[name][0],
        "drive": CLONES[name][1],
    }
    kept = {
        **record,
        "login_s": round(result.login_s),
        "renewed": result.renewed,
        "settings": result.settings[-600:],
        **result.facts,
    }
    (cache_dir() / f"booted-{system}-{name}.json").write_text(json.dumps(kept, indent=1))


@pytest.fixture(scope="module", params=list(SYSTEMS))
def system(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=list(CLONES))
def clone(request: pytest.FixtureRequest, system: str, work: Path) -> tuple[str, str, Seen]:
    return system, request.param, seen(system, request.param, work)


Clone = tuple[str, str, Seen]


def test_nothing_failed_and_cloud_init_is_done(clone: Clone) -> None:
    said = clone[2].facts
    assert (said["failed"], said["running"], said["cloud-init"]) == ("", "running", "done")


def test_it_was_started_by_the_firmware_asked_for(clone: Clone) -> None:
    assert clone[2].facts["firmware"] == CLONES[clone[1]][0]


def test_cloud_init_took_the_drive(clone: Clone) -> None:
    wanted = {"nocloud": "NoCloud", "configdrive": "ConfigDrive", "none": "None"}[
        CLONES[clone[1]][1]
    ]
    assert wanted in clone[2].facts["datasource"]


def test_it_has_the_name_of_its_drive(clone: Clone) -> None:
    system, name, said = clone
    if CLONES[name][1] != "none":
        assert said.facts["hostname"] == f"{system.replace('.', '')}-{name}"


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
    if SYSTEMS[clone[0]][1] != "strict":
        assert clone[2].facts["martians"] == "0"


def test_router_advertisements_are_taken_unless_strict(clone: Clone) -> None:
    taken = "2001:db8:" in clone[2].facts["ipv6"]
    assert taken is (SYSTEMS[clone[0]][1] != "strict")


def test_the_settings_in_force_are_those_of_its_profile(clone: Clone) -> None:
    assert "all settings are in force" in clone[2].settings, clone[2].settings


def test_two_clones_share_no_identity(system: str, work: Path) -> None:
    first, second = (seen(system, name, work).facts for name in "ab")
    assert len(first["machine-id"]) == 32
    assert first["machine-id"] != second["machine-id"]
    assert not set(first["host-keys"].split()) & set(second["host-keys"].split())
