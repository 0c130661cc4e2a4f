"""What a guest says of itself, asked by one shell script, and what that means.

The script runs as the ordinary account of the NoCloud drive and needs a POSIX shell, Linux and
systemd. What it prints is the word of a guest that nobody trusts: bounded, and parsed strictly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from asyncpipe.model.boot.machine import Account
from asyncpipe.model.boot.result import Check, CheckOutcome
from asyncpipe.text.format import duration_text, size_text
from asyncpipe.text.safe import printable

MAX_BYTES: Final = 64 * 1024
_UNUSED_BYTES: Final = 64 * 1024**2  # a backup partition table, and what alignment leaves
_FILLED: Final = 0.85  # of a root device: file systems keep inodes and journals for themselves
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}")
_HOST_KEY: Final = re.compile(r"[A-Za-z0-9+/=]{40,2000}")
_MOST_VALUES: Final = 50  # of one name

# One "name value" a line; a name may come several times. cloud-init has ended by then.
SCRIPT: Final = r"""
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf 'asyncpipe %s %s\n' "$1" "$2"; }
say host-name "$(uname -n)"
say machine-id "$(cat /etc/machine-id)"
for key in /etc/ssh/ssh_host_*_key.pub; do
    [ -r "$key" ] && say host-key "$(cut -d' ' -f2 "$key")"
done
say uptime "$(cut -d' ' -f1 /proc/uptime)"
number=$(awk '$5 == "/" { at = $3 } END { print at }' /proc/self/mountinfo)
node=$(readlink -f "/sys/dev/block/$number")
if ! [ -d "$node" ]; then # btrfs has numbers of its own
    source=$(findmnt -no SOURCE / | sed 's/\[.*//')
    node=$(readlink -f "/sys/class/block/$(basename "$(readlink -f "$source")")")
fi
say root-device-bytes "$(($(cat "$node/size") * 512))"
say root-bytes "$(df -Pk / | awk 'END { printf "%.0f", $2 * 1024 }')"
say root-free-bytes "$(df -Pk / | awk 'END { printf "%.0f", $4 * 1024 }')"
while set -- "$node"/slaves/*; [ -e "$1" ]; do node=$(readlink -f "$1"); done
[ -e "$node/partition" ] && node=$(dirname "$node")
end=0
for part in "$node"/*/partition; do
    [ -e "$part" ] || { end=$(cat "$node/size"); break; }
    part=$(dirname "$part")
    last=$(($(cat "$part/start") + $(cat "$part/size")))
    [ "$last" -gt "$end" ] && end=$last
done
say disk-bytes "$(($(cat "$node/size") * 512))"
say unused-bytes "$((($(cat "$node/size") - end) * 512))"
ip -o -4 addr show scope global | awk '{ print $2, $4 }' |
    while read -r line; do say address "$line"; done
systemctl list-units --state=failed --plain --no-legend --no-pager | awk '{ print $1 }' |
    while read -r unit; do say failed-unit "$unit"; done
for unit in xen-guest-agent.service xe-linux-distribution.service xe-daemon.service; do
    state=$(systemctl is-enabled "$unit" 2>/dev/null) && say agent "$unit $state"
done
say end 1
"""
# Waits; its exit code is 0 when all went well, 2 after what cloud-init mended, 1 after an error.
CLOUD_INIT: Final = """
command -v cloud-init >/dev/null || { echo 'there is no cloud-init'; exit 127; }
cloud-init status --wait --long
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What of the guest's identity is in the image already, and so in every clone of it."""

    machine_id: bool = False
    host_keys: bool = False


Facts = Mapping[str, tuple[str, ...]]


def facts_of(output: str) -> Facts:
    """Parse what the script printed; lines of others are skipped."""
    found: dict[str, tuple[str, ...]] = {}
    for line in output.splitlines():
        mark, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        if mark == "asyncpipe" and len(found.get(name, ())) < _MOST_VALUES:
            found[name] = (*found.get(name, ()), value.strip()[:2000])
    return found


def machine_id_of(facts: Facts) -> str:
    """The guest's machine id, "" where it says none that is one."""
    said = _one(facts, "machine-id")
    return said if _MACHINE_ID.fullmatch(said) else ""


def host_keys_of(facts: Facts) -> tuple[str, ...]:
    """The public host keys, base64."""
    return tuple(key for key in facts.get("host-key", ()) if _HOST_KEY.fullmatch(key))


def checks_of(
    facts: Facts, account: Account, origin: Origin, *, agent: bool | None = None
) -> tuple[Check, ...]:
    """Judge what a guest said; a fact that is missing fails its check.

    ``agent``: whether the hypervisor hears a guest agent, None where none can be heard.
    """
    return (
        _host_name(facts, account),
        _machine_id(facts, origin),
        _host_keys(facts, origin),
        _root_grown(facts),
        _network(facts),
        _failed_units(facts),
        _agent(facts) if agent is None else _agent_heard(heard=agent),
    )


def uptime_s(facts: Facts) -> float | None:
    """Seconds between the kernel's start and the question."""
    try:
        return float(_one(facts, "uptime"))
    except ValueError:
        return None


def _one(facts: Facts, name: str) -> str:
    return facts.get(name, ("",))[0]


def _check(name: str, *, passed: bool, says: str) -> Check:
    outcome = CheckOutcome.PASSED if passed else CheckOutcome.FAILED
    return Check(name=name, outcome=outcome, says=printable(says, 300))


def _host_name(facts: Facts, account: Account) -> Check:
    said = _one(facts, "host-name")
    passed = said.partition(".")[0] == account.host_name
    says = "the one of the drive" if passed else f"it is {said!r}, not that of the drive"
    return _check("host-name", passed=passed, says=says)


def _machine_id(facts: Facts, origin: Origin) -> Check:
    said = machine_id_of(facts)
    if not said:
        return _check("machine-id", passed=False, says="the guest has none")
    if origin.machine_id:
        says = f"{said} is in the image itself: every clone would have it"
        return _check("machine-id", passed=False, says=says)
    return _check("machine-id", passed=True, says="new")


def _host_keys(facts: Facts, origin: Origin) -> Check:
    count = len(host_keys_of(facts))
    if not count:
        return _check("host-keys", passed=False, says="the guest shows none")
    if origin.host_keys:
        says = "a key is in the image itself: every clone would have it"
        return _check("host-keys", passed=False, says=says)
    return _check("host-keys", passed=True, says=f"{count} new")


def _root_grown(facts: Facts) -> Check:
    try:
        disk, unused, device, size = (
            int(_one(facts, name))
            for name in ("disk-bytes", "unused-bytes", "root-device-bytes", "root-bytes")
        )
    except ValueError:
        return _check("root-grown", passed=False, says="the guest does not say how large it is")
    if unused > _UNUSED_BYTES:
        says = f"{size_text(unused)} of the disk's {size_text(disk)} belong to no partition"
        return _check("root-grown", passed=False, says=says)
    if size < device * _FILLED:
        says = f"the file system has {size_text(size)} of a device of {size_text(device)}"
        return _check("root-grown", passed=False, says=says)
    return _check("root-grown", passed=True, says=f"{size_text(size)} on {size_text(disk)}")


def _network(facts: Facts) -> Check:
    addresses = facts.get("address", ())
    return _check("network", passed=bool(addresses), says=", ".join(addresses) or "no address")


def _failed_units(facts: Facts) -> Check:
    if "end" not in facts:
        return _check("failed-units", passed=False, says="the guest's answer broke off")
    units = facts.get("failed-unit", ())
    return _check("failed-units", passed=not units, says=", ".join(units) or "none")


def _agent(facts: Facts) -> Check:
    """Without Xen it cannot run: that it would be started is all that can be seen."""
    for said in facts.get("agent", ()):
        unit, _, state = said.partition(" ")
        if state == "enabled":
            says = f"{unit} is enabled; not run: no Xen"
            return Check(
                name="guest-agent", outcome=CheckOutcome.NOT_RUN, says=printable(says, 300)
            )
    return _check("guest-agent", passed=False, says="no unit of a guest agent is enabled")


def _agent_heard(*, heard: bool) -> Check:
    says = "it reports to the host" if heard else "the host hears none"
    return _check("guest-agent", passed=heard, says=says)


def cloud_init_check(exit_code: int | None, output: str) -> Check:
    """What ``cloud-init status --wait`` said."""
    if exit_code == 0:
        return _check("cloud-init", passed=True, says="done")
    last = printable(" | ".join(output.strip().splitlines()[-3:]), 200)
    how = "did not end in time" if exit_code is None else f"ended with {exit_code}"
    return _check("cloud-init", passed=False, says=f"{how}: {last}")


def boot_time_check(facts: Facts, login_s: float) -> Check:
    """Not a limit: the time is for people who compare versions."""
    up_s = uptime_s(facts)
    up = f", the kernel for {duration_text(up_s)} when it was asked" if up_s is not None else ""
    says = f"first login {duration_text(login_s)} after power on{up}"
    return _check("boot-time", passed=True, says=says)


def user_check(exit_code: int | None, output: str) -> Check:
    """What the script of ``--boot-check`` said."""
    last = printable((output.strip().splitlines() or [""])[-1], 150)
    how = "did not end in time" if exit_code is None else f"ended with {exit_code}"
    return _check("boot-check", passed=exit_code == 0, says=f"{how}{': ' if last else ''}{last}")
