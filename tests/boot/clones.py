"""Clones of real systems, started and asked what their owners would ask.

Each system has a clone by BIOS with a NoCloud drive, the same disk again by UEFI with its interface
in another slot, a clone by UEFI with a ConfigDrive, and one by BIOS without a drive. What each said
is kept in the tests' cache (``booted-SYSTEM-START.json``); ``tests.boot.table`` makes the table in
``docs/templates.md`` of it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.boot import disk, machine
from tests.boot.network import Network, network
from tests.provisioning.trees import Tree
from tests.templates.needs import REPO, cache_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A release, its debootstrap suite and the hardening profile its clones have."""

    title: str
    suite: str
    profile: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a clone is started by (``bios``, ``uefi``) and with.

    ``slot`` is the interface's PCI slot, which gives it its name.
    """

    firmware: str
    drive: str
    slot: int


SYSTEMS: Final = {
    "debian12": System(title="Debian 12", suite="bookworm", profile="baseline"),
    "debian13": System(title="Debian 13", suite="trixie", profile="strict"),
    "ubuntu2404": System(title="Ubuntu 24.04", suite="noble", profile="baseline"),
}
CLONES: Final = {
    "a": Start(firmware="bios", drive="nocloud", slot=3),
    "b": Start(firmware="uefi", drive="configdrive", slot=5),
    "c": Start(firmware="bios", drive="none", slot=3),
}
# The disk of the first clone once more.
AGAIN: Final = {"a": Start(firmware="uefi", drive="nocloud", slot=7)}

_SSH_FAILED = 255
_DRIVES = {"nocloud": machine.nocloud, "configdrive": machine.config_drive}

# What a machine says of itself: one "name: value" a line, in any order.
_WHO = r"""
exec 2>&1
say() { printf '%s: %s\n' "$1" "$(tr '\n' ' ' | sed 's/ *$//')"; }
# Not "cloud-init status --wait" alone: an emulated processor is busy with its polling.
for try in $(seq 600); do [ ! -e /run/cloud-init/result.json ] || break; sleep 3; done
sudo cloud-init status --wait >/dev/null
timeout 1500 systemctl is-system-running --wait | say running
systemctl --failed --plain --no-legend | cut -d' ' -f1 | say failed
hostname | say hostname
cat /etc/machine-id | say machine-id
cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2 | sort | say host-keys
ip -o -4 addr show scope global | say ipv4
for path in /sys/class/net/[ev]*; do
    udevadm info --query=property --path="$path" | sed -n "s/^ID_NET_NAME_PATH=//p"
done | say interface
if [ -d /sys/firmware/efi ]; then echo uefi; else echo bios; fi | say firmware
systemd-analyze time 2>/dev/null | head -n 1 | say startup
"""
_LOOK = rf"""{_WHO}
sudo cloud-init status --long | tr '\n' ' ' | say cloud-init-long
sudo cloud-init status | sed -n 's/^status: //p' | say cloud-init
sudo grep -o '"datasource": *"[^"]*"' /run/cloud-init/status.json | say datasource
sudo true 2>&1 | say sudo
ls /etc/ssh | grep '_key$' | say host-key-files
df --output=size -BM / | tail -n 1 | say root-size
ip -o -6 addr show scope global | say ipv6
networkctl --no-pager --no-legend list | say links
for try in $(seq 60); do
    [ "$(timedatectl show -p NTPSynchronized --value)" = yes ] && break
    sleep 5
done
timedatectl show -p NTPSynchronized --value | say clock
sudo journalctl -b -k --no-pager | grep -ci martian | say martians
sudo journalctl -b -p err --no-pager -q | tail -n 20 | say errors
sudo cat /etc/iscsi/initiatorname.iscsi 2>/dev/null | say iscsi
uname -r | say kernel
cloud-init --version 2>&1 | say cloud-init-version
umask | say umask
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one clone said after a start.

    ``login_s`` is from power on to the first login, ``login_cpu_s`` QEMU's processor time until
    then; ``settings`` is what verify_image.sh --settings said, empty where it was not run.
    """

    start: Start
    facts: dict[str, str]
    login_s: float
    login_cpu_s: float
    settings: str = ""
    renewed: bool = False


def seen(system: str, name: str, work: Path) -> dict[str, Seen]:
    """Start the clone; what was seen by start: ``a``, and ``a-again`` if it has two."""
    here = work / f"{system}-{name}"
    here.mkdir()
    key, public = machine.make_key(work)
    of, start = SYSTEMS[system], CLONES[name]
    template = disk.provisioned_disk(of.suite, of.profile, here)
    copy = disk.clone(template, here / "disk.raw")
    if start.drive == "none":
        _give_account(copy, here, public)
    found: dict[str, Seen] = {}
    with network(f"ap-{os.getpid()}", here) as net:
        clone = _Clone(system=system, name=name, disk=copy, work=here, key=key, public=public)
        with _running(clone, net, start) as (running, cpu_s, login_s):
            first = net.lease()
            said = facts(_asked(running, _LOOK))
            found[name] = Seen(
                start=start,
                facts=said,
                login_s=login_s,
                login_cpu_s=cpu_s,
                settings=_settings(running, of.profile),
                renewed=_renewed(running, first),
            )
        _record(system, name, found[name])
        if name in AGAIN:
            with _running(clone, net, AGAIN[name]) as (running, cpu_s, login_s):
                said = facts(_asked(running, _WHO))
                found[f"{name}-again"] = Seen(
                    start=AGAIN[name], facts=said, login_s=login_s, login_cpu_s=cpu_s
                )
            _record(system, f"{name}-again", found[f"{name}-again"])
    copy.unlink()
    return found


def settings_not_in_force(text: str) -> list[str]:
    """What verify_image.sh --settings found wrong; that it came to its end is one of them."""
    wrong = re.findall(r"FAILED: (.*)", text)
    return wrong if "in force" in text else [*wrong, "it did not come to its end"]


def facts(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+): ?(.*)$", text, re.MULTILINE))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clone:
    system: str
    name: str
    disk: Path
    work: Path
    key: Path
    public: str

    @property
    def mac(self) -> str:
        system, clone = list(SYSTEMS).index(self.system), list(CLONES).index(self.name)
        return f"52:54:00:00:{system:02x}:{clone:02x}"


@contextmanager
def _running(
    clone: _Clone, net: Network, start: Start
) -> Iterator[tuple[machine.Machine, float, float]]:
    """The clone from power on to power off; with it seconds of CPU and seconds to the login."""
    make = _DRIVES.get(start.drive)
    drive = make(f"{clone.system}-{clone.name}", clone.public) if make else None
    machine_of = machine.started(
        clone.disk,
        net,
        clone.work,
        clone.key,
        firmware=start.firmware,
        drive=drive,
        slot=start.slot,
        mac=clone.mac,
    )
    with machine_of as running:
        login_s = running.wait_for_ssh()
        yield running, running.cpu_s(), login_s
        running.power_down()


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
    script = f"mkdir -p ~/verify && cd ~/verify\n{files}{command}"
    return _asked(running, script)


def _asked(running: machine.Machine, script: str) -> str:
    """What the script prints there; cloud-init restarts sshd after the first logins."""
    result = running.ssh(script, timeout_s=3600)
    for _ in range(30):
        if result.returncode != _SSH_FAILED:
            break
        time.sleep(20)
        result = running.ssh(script, timeout_s=3600)
    assert result.returncode != _SSH_FAILED, f"ssh: {result.stderr[-2000:]}"
    return result.stdout


def _renewed(running: machine.Machine, first: tuple[float, str] | None) -> bool:
    """Whether a client that still runs renewed the first lease past its end."""
    assert first is not None
    ends_s, address = first
    while time.time() < ends_s + 10:
        time.sleep(5)
    now = running.network.lease()
    # dnsmasq removes a lease that ended.
    if now is None or now[0] <= time.time() or now[1] != address:
        return False
    return running.ssh("true").returncode == 0


def _record(system: str, name: str, result: Seen) -> None:
    start = result.start
    kept = {
        "system": system,
        "clone": name,
        "profile": SYSTEMS[system].profile,
        "seen_utc": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "started_by": start.firmware,
        "drive": start.drive,
        "login_s": round(result.login_s),
        "login_cpu_s": round(result.login_cpu_s),
        "renewed": result.renewed,
        "settings": result.settings[-8000:],
        **result.facts,
    }
    (cache_dir() / f"booted-{system}-{name}.json").write_text(json.dumps(kept, indent=1))
