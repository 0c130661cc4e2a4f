"""The provisioning runs for real in Debian 12, 13 and Ubuntu 24.04, twice, seen from outside."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.provisioning.clone_problems import PROBLEMS
from tests.provisioning.faults import Fault, away, batches, edit, fault, last_sysctl, new_file
from tests.provisioning.trees import Tree, debian_tree

pytestmark = pytest.mark.heavy

SECRET = "invented-build-secret"
MARK = "asyncpipe-evidence/1 "
SYSTEMS = {"bookworm": ("debian", "12"), "trixie": ("debian", "13"), "noble": ("ubuntu", "24.04")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    tree: Tree
    suite: str
    profile: str
    first: str
    second: str


@pytest.fixture(
    scope="module",
    params=[("bookworm", "baseline"), ("trixie", "strict"), ("noble", "baseline")],
    ids=["debian12-baseline", "debian13-strict", "ubuntu24.04-baseline"],
)
def provisioned(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provisioned]:
    suite, profile = request.param
    folder = tmp_path_factory.mktemp("trees")
    tree = debian_tree(suite, folder)
    leave_traces(tree)
    first = chain(tree, profile)
    second = chain(tree, profile)
    yield Provisioned(tree=tree, suite=suite, profile=profile, first=first, second=second)
    shutil.rmtree(folder)


def leave_traces(tree: Tree) -> None:
    """What an installation and a build leave behind, each with a secret in it."""
    assert tree.run("useradd", "--create-home", "--uid", "1000", "packer").returncode == 0
    assert tree.run("usermod", "--password", "$6$a$b", "root").returncode == 0
    for path in (
        "root/.ssh/authorized_keys",
        "home/packer/.ssh/authorized_keys",
        "root/.bash_history",
        "root/.netrc",
        "etc/apt/auth.conf.d/mirror.conf",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/sudoers.d/asyncpipe-build",
        "var/lib/dhcp/dhclient.enX0.leases",
        "var/lib/cloud/data/instance-id",
        "var/log/installer/syslog",
        "var/log/dpkg.log.1",
        "etc/netplan/00-installer-config.yaml",
        "var/lib/systemd/random-seed",
        "etc/nvme/hostid",
        "etc/nvme/hostnqn",
        "etc/iscsi/initiatorname.iscsi",
        "etc/multipath/wwids",
        "etc/lvm/devices/system.devices",
        "etc/hostid",
        "etc/krb5.keytab",
        "etc/salt/minion_id",
        "etc/popularity-contest.conf",
        "var/lib/chrony/drift",
        "var/lib/ubuntu-advantage/private/machine-token.json",
        "var/spool/cron/crontabs/packer",
        "var/mail/packer",
        "var/backups/passwd.bak",
        "etc/cloud/cloud.cfg.d/99-installer.cfg",
        "etc/network/interfaces",
        "boot/loader/entries/0123-0-rescue.conf",
    ):
        tree.write(path, f"{SECRET}\n", 0o600)
    tree.write("etc/apt/apt.conf.d/95proxy", f"# {SECRET}\n")
    tree.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")


def chain(tree: Tree, profile: str) -> str:
    """All three phases; the text they printed."""
    said = []
    for phase in ("update", "configure", "finish"):
        result = tree.provision(phase, HARDENING_PROFILE=profile)
        assert result.returncode == 0, result.stdout[-3000:]
        said.append(result.stdout)
    return "".join(said)


def evidence(text: str) -> list[str]:
    return [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]


def test_the_second_run_changes_nothing(provisioned: Provisioned) -> None:
    assert " wrote /etc/ssh/sshd_config.d/00-asyncpipe.conf" in provisioned.first
    assert re.findall(r"\] (?:wrote|installs) .*", provisioned.second) == []


def test_the_evidence_is_whole_and_tells_the_system(provisioned: Provisioned) -> None:
    lines = evidence(provisioned.second)
    name, version = SYSTEMS[provisioned.suite]
    assert lines[0] == "begin"
    assert lines[-1] == f"end {len(lines) - 2}"
    assert f"os-release ID={name}" in lines
    assert f'os-release VERSION_ID="{version}"' in lines
    assert "arch x86_64" in lines
    assert f"hardening-profile {provisioned.profile}" in lines
    assert "agent xe-guest-utilities 8.4.0-1" in lines
    told = any(re.fullmatch(rf"debian-version {version}\.\d+", line) for line in lines)
    assert told is (name == "debian")
    assert any(re.fullmatch(r"kernel \S+", line) for line in lines)
    packages = [line for line in lines if line.startswith("package ")]
    assert len(packages) > 100
    assert all(re.fullmatch(r"package \S+ \S+ \S+", line) for line in packages)
    assert any(line.startswith("package cloud-init ") for line in packages)


def test_no_trace_of_the_build_is_left(provisioned: Provisioned) -> None:
    root = provisioned.tree.root
    found = subprocess.run(
        ["grep", "-rl", SECRET, "etc", "root", "home", "var", "tmp", "opt"],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.stdout == ""
    assert (root / "etc/machine-id").read_text() == ""
    assert not list((root / "etc/ssh").glob("ssh_host_*"))
    assert not list((root / "home").iterdir())
    assert not list((root / "var/lib/apt/lists").glob("*_Packages*"))
    assert not (root / "var/lib/asyncpipe").exists()


def test_nobody_can_log_in_with_a_password(provisioned: Provisioned) -> None:
    root = provisioned.tree.root
    shadow = [line.split(":") for line in (root / "etc/shadow").read_text().splitlines()]
    assert [name for name, password, *_ in shadow if password.strip("!*")] == []
    passwd = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    assert [entry[0] for entry in passwd if 1000 <= int(entry[2]) < 60000] == []


def test_its_own_sshd_accepts_the_configuration_and_refuses_passwords(
    provisioned: Provisioned,
) -> None:
    command = (
        "mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f /run/key"
        " && /usr/sbin/sshd -T -h /run/key"
    )
    result = provisioned.tree.run("sh", "-c", command)
    assert result.returncode == 0, result.stdout
    effective = result.stdout.splitlines()
    assert "permitrootlogin no" in effective
    assert "passwordauthentication no" in effective
    assert "kbdinteractiveauthentication no" in effective
    kex = next(line for line in effective if line.startswith("kexalgorithms "))
    assert "curve25519-sha256" in kex
    assert "sha1" not in kex
    assert ("allowtcpforwarding no" in effective or "disableforwarding yes" in effective) is (
        provisioned.profile == "strict"
    )


def test_the_firewall_parses_and_leaves_ssh(provisioned: Provisioned) -> None:
    result = provisioned.tree.run("nft", "--check", "--file", "/etc/nftables.conf")
    assert (result.returncode, result.stdout) == (0, "")
    rules = (provisioned.tree.root / "etc/nftables.conf").read_text()
    assert "policy drop" in rules
    assert "tcp dport 22 ct state new accept" in rules


def test_cloud_init_reads_its_configuration(provisioned: Provisioned) -> None:
    result = provisioned.tree.run(
        "cloud-init", "schema", "--config-file", "/etc/cloud/cloud.cfg.d/99-zz-asyncpipe.cfg"
    )
    # The file has no "#cloud-config" head, because it is a system's file: only that may be said.
    assert "cannot be parsed" not in result.stdout
    assert "Traceback" not in result.stdout


def test_what_manages_the_network_is_systemd_networkd(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    for name in ("ifupdown", "dhcpcd", "resolvconf"):
        assert tree.run("dpkg-query", "-W", "-f", "${db:Status-Status}", name).stdout != "installed"
    assert str((tree.root / "etc/resolv.conf").readlink()).endswith("resolve/stub-resolv.conf")
    assert not (tree.root / "usr/sbin/policy-rc.d").exists()


def test_a_build_keeps_its_name_servers_when_systemd_resolved_comes(
    provisioned: Provisioned,
) -> None:
    # what Debian 13's package puts into /run is gone once systemd-resolved starts
    assert "[debian_specific.sh] wrote /etc/resolv.conf" in provisioned.first


def test_the_switch_for_containers_lets_packets_through(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    changed = [
        "etc/nftables.conf",
        "etc/sysctl.d/99-zz-asyncpipe.conf",
        "usr/share/asyncpipe/forwarding",
        "usr/share/asyncpipe/hardening-report.txt",
    ]
    before = {name: (tree.root / name).read_bytes() for name in changed}
    profile = provisioned.profile
    try:
        result = tree.script(
            "common/harden_system.sh", HARDENING_PROFILE=profile, ALLOW_FORWARDING="true"
        )
        assert result.returncode == 0, result.stdout[-2000:]
        assert "forwarding allowed" in result.stdout
        result = tree.script(
            "common/verify_image.sh",
            "--settings",
            HARDENING_PROFILE=profile,
            ALLOW_FORWARDING="true",
        )
        assert "all settings are in force" in result.stdout, result.stdout[-2000:]
    finally:
        for name, text in before.items():
            (tree.root / name).write_bytes(text)
        tree.run("apt-get", "clean")
        for path in (tree.root / "var/lib/apt/lists").glob("*_*"):
            path.unlink()
        shutil.rmtree(tree.root / "var/lib/asyncpipe")
        (tree.root / "etc/resolv.conf").unlink()


def test_the_report_says_what_was_set(provisioned: Provisioned) -> None:
    report = (provisioned.tree.root / "usr/share/asyncpipe/hardening-report.txt").read_text()
    assert f"profile  {provisioned.profile}\n" in report
    assert "ANSSI R73" in report
    assert ("kernel start parameters" in report) is (provisioned.profile == "strict")


def test_units_that_were_written_are_sound(provisioned: Provisioned) -> None:
    units = ["asyncpipe-host-keys.service", "asyncpipe-shm.service", "tmp.mount"]
    result = provisioned.tree.run("systemd-analyze", "verify", *units)
    assert [line for line in result.stdout.splitlines() if "asyncpipe" in line] == []


OTHER_FAULTS = (
    fault(new_file("var/lib/dhcp/dhclient.leases"), "a lease is left"),
    fault(new_file("etc/netplan/50-cloud-init.yaml"), "a network configuration of the build"),
    fault(
        last_sysctl("fs.protected_fifos = 1"),
        "the kernel's setting fs.protected_fifos is '1', not '2'",
    ),
    fault(
        new_file("etc/ssh/sshd_config.d/00-a.conf", "X11Forwarding yes\n"),
        "sshd does not say 'x11forwarding no'",
    ),
    fault(
        new_file("etc/apt/apt.conf.d/99-zzz", 'APT::Periodic::Unattended-Upgrade "0";\n'),
        "apt's APT::Periodic::Unattended-Upgrade is",
    ),
    fault(
        edit("etc/pam.d/common-session", "pam_umask.so umask=", "pam_umask.so umask=022 #"),
        "the umask of",
    ),
    fault(
        new_file("etc/security/limits.d/99-zzz.conf", "* hard core unlimited\n"),
        "the limit of core dumps is 'unlimited', not '0'",
    ),
    fault(
        new_file("etc/systemd/system/tmp.mount.d/zzz.conf", "[Mount]\nOptions=mode=1777\n"),
        "/tmp is not mounted nosuid",
    ),
    fault(
        new_file("etc/systemd/coredump.conf.d/zzz.conf", "[Coredump]\nStorage=external\n"),
        "the storage of core dumps is 'external', not 'none'",
    ),
    fault(
        edit("etc/nftables.conf", "priority filter; policy drop;", "priority filter;"),
        "the firewall lets everything in",
    ),
    fault(
        edit(
            "etc/nftables.conf",
            "hook forward priority filter; policy drop;",
            "hook forward priority filter;",
        ),
        "the firewall's policy for forwarding is not drop",
    ),
    fault(
        away("etc/systemd/system/ctrl-alt-del.target"),
        "the unneeded ctrl-alt-del.target is not masked",
    ),
    fault(
        edit(
            "etc/ssh/sshd_config.d/00-asyncpipe.conf",
            "PasswordAuthentication no",
            "PasswordAuthentication yes",
        ),
        "sshd does not say 'passwordauthentication no'",
    ),
    fault(
        edit("etc/ssh/sshd_config.d/00-asyncpipe.conf", "StrictModes", "Stricktmodes"),
        "sshd refuses its configuration",
    ),
    fault(edit("etc/nftables.conf", "policy drop", "policy dorp"), "nft refuses"),
    fault(
        away("etc/systemd/system/sysinit.target.wants/nftables.service"),
        "the firewall is not enabled",
    ),
    fault(away("etc/sysctl.d/99-zz-asyncpipe.conf"), "the kernel's setting kernel.kptr_restrict"),
)


FAULTS = [*(fault for problem in PROBLEMS for fault in problem.faults), *OTHER_FAULTS]


@pytest.mark.parametrize("faults", batches(FAULTS), ids=lambda faults: faults[0].path)
def test_the_verification_names_what_was_left_behind(
    provisioned: Provisioned, faults: list[Fault]
) -> None:
    tree = provisioned.tree
    tree.copy_scripts()
    (tree.root / "etc/resolv.conf").unlink()
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, tree.root / "var/lib/asyncpipe")
        for fault in faults:
            undo.callback(fault.make(tree))
        script = "/var/lib/asyncpipe/common/verify_image.sh"
        result = tree.run("bash", script, HARDENING_PROFILE=provisioned.profile)
    assert result.returncode == 1, result.stdout[-2000:]
    unnamed = [fault.named for fault in faults if fault.named not in result.stdout]
    assert unnamed == [], result.stdout
    assert "the image is not fit to be published" in result.stdout
    assert evidence(result.stdout) == []


def test_each_fault_is_undone(provisioned: Provisioned) -> None:
    """So that no fault is named because of another one before it."""
    result = provisioned.tree.script(
        "common/verify_image.sh", HARDENING_PROFILE=provisioned.profile
    )
    shutil.rmtree(provisioned.tree.root / "var/lib/asyncpipe")
    (provisioned.tree.root / "etc/resolv.conf").unlink()
    failed = [line for line in result.stdout.splitlines() if "FAILED" in line]
    # The resolver is the build's here, so that the scripts could be copied.
    assert [line for line in failed if "resolv.conf" not in line] == []


def test_verifying_with_another_profile_fails(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    result = tree.script("common/verify_image.sh", HARDENING_PROFILE="minimal")
    shutil.rmtree(tree.root / "var/lib/asyncpipe")
    (tree.root / "etc/resolv.conf").unlink()
    assert result.returncode == 1
    assert "the hardening profile is not 'minimal'" in result.stdout
