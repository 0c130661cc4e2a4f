"""The provisioning runs for real in Debian 12, 13 and Ubuntu 24.04, twice, seen from outside."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

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


Undo = Callable[[], object]


def _new_file(path: str, text: str = "x\n") -> Callable[[Tree], Undo]:
    def mutate(tree: Tree) -> Undo:
        return tree.write(path, text, 0o600).unlink

    return mutate


def _edit(path: str, old: str, new: str) -> Callable[[Tree], Undo]:
    def mutate(tree: Tree) -> Undo:
        file = tree.root / path
        before = file.read_text()
        assert old in before
        file.chmod(0o644)
        file.write_text(before.replace(old, new, 1))
        return lambda: file.write_text(before)

    return mutate


def _away(path: str) -> Callable[[Tree], Undo]:
    def mutate(tree: Tree) -> Undo:
        file = tree.root / path
        kept = tree.root / "kept-aside"
        file.rename(kept)
        return lambda: kept.rename(file)

    return mutate


def _content(path: str, text: str) -> Callable[[Tree], Undo]:
    def mutate(tree: Tree) -> Undo:
        file = tree.root / path
        before = file.read_bytes() if file.exists() else None
        file.write_text(text)
        return file.unlink if before is None else lambda: file.write_bytes(before)

    return mutate


def _disabled(unit: str) -> Callable[[Tree], Undo]:
    def mutate(tree: Tree) -> Undo:
        assert tree.run("systemctl", "--quiet", "disable", unit).returncode == 0
        return lambda: tree.run("systemctl", "--quiet", "enable", unit)

    return mutate


def _machine_id(tree: Tree) -> Undo:
    file = tree.root / "etc/machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    return lambda: file.write_text("")


@pytest.mark.parametrize(
    ("mutate", "named"),
    [
        (_new_file("etc/ssh/ssh_host_rsa_key"), "an SSH host key is left"),
        (_machine_id, "/etc/machine-id must be there and empty"),
        (_away("etc/machine-id"), "/etc/machine-id must be there and empty"),
        (_new_file("root/.ssh/authorized_keys"), "an authorized key is left"),
        (_new_file("var/lib/dhcp/dhclient.leases"), "a lease is left"),
        (_new_file("var/lib/cloud/data/instance-id"), "cloud-init's state is left"),
        (_new_file("etc/netplan/50-cloud-init.yaml"), "a network configuration of the build"),
        (_new_file("etc/nvme/hostnqn"), "the NVMe qualified name is left"),
        (_new_file("etc/iscsi/initiatorname.iscsi"), "the iSCSI initiator's name is left"),
        (_new_file("etc/lvm/devices/system.devices"), "a disk known to LVM is left"),
        (_new_file("usr/sbin/policy-rc.d"), "the refusal to start services is left"),
        (
            _new_file("etc/cloud/cloud.cfg.d/99-zzz.cfg", "datasource_list: [None]\n"),
            "cloud-init's datasource_list is 'None', not 'NoCloud ConfigDrive None'",
        ),
        (
            _new_file("etc/cloud/cloud.cfg.d/99-zzz.cfg", "network: {config: disabled}\n"),
            "no network of the build's is 'auto False'",
        ),
        (
            _new_file("etc/cloud/cloud.cfg.d/99-zzz.cfg", "ssh_genkeytypes: [ecdsa]\n"),
            "cloud-init's ssh_genkeytypes is 'ecdsa'",
        ),
        (
            _new_file(
                "etc/cloud/cloud.cfg.d/99-zzz.cfg", "warnings: {dsid_missing_source: warn}\n"
            ),
            "cloud-init's warning of no drive, and its locale is 'warn False'",
        ),
        (
            _new_file("etc/cloud/cloud.cfg.d/99-zzz.cfg", "locale: en_US.UTF-8\n"),
            "cloud-init's warning of no drive, and its locale is 'False en_US.UTF-8'",
        ),
        (_away("etc/cloud/ds-identify.cfg"), "cloud-init does not start without a drive"),
        (
            _new_file("etc/sysctl.d/99-zzz.conf", "fs.protected_fifos = 1\n"),
            "the kernel's setting fs.protected_fifos is '1', not '2'",
        ),
        (
            _new_file("etc/sysctl.d/99-zzz.conf", "net.ipv4.conf.all.rp_filter = 0\n"),
            "the kernel's setting net.ipv4.conf.all.rp_filter is '0', not '1'",
        ),
        (
            _new_file("etc/sysctl.d/99-zzz.conf", "net/ipv4/conf/*/accept_redirects = 1\n"),
            "the kernel's setting net.ipv4.conf.enX9.accept_redirects is '1', not '0'",
        ),
        (
            _new_file("etc/ssh/sshd_config.d/00-a.conf", "X11Forwarding yes\n"),
            "sshd does not say 'x11forwarding no'",
        ),
        (
            _new_file("etc/ssh/sshd_config.d/00-a.conf", "HostKey /etc/ssh/ssh_host_ecdsa_key\n"),
            "sshd uses a host key that is neither ed25519 nor RSA",
        ),
        (
            _new_file("etc/apt/apt.conf.d/99-zzz", 'APT::Periodic::Unattended-Upgrade "0";\n'),
            "apt's APT::Periodic::Unattended-Upgrade is",
        ),
        (_edit("etc/nsswitch.conf", "myhostname", ""), "a machine cannot resolve its own name"),
        (
            _disabled("systemd-timesyncd.service"),
            "nothing keeps the clock",
        ),
        (
            _disabled("systemd-networkd.service"),
            "systemd-networkd is not enabled",
        ),
        (
            _away("etc/systemd/system/multi-user.target.wants/asyncpipe-host-keys.service"),
            "nobody makes SSH host keys on first boot",
        ),
        (
            _edit("etc/pam.d/common-session", "pam_umask.so umask=", "pam_umask.so umask=022 #"),
            "the umask of",
        ),
        (
            _new_file("etc/security/limits.d/99-zzz.conf", "* hard core unlimited\n"),
            "the limit of core dumps is 'unlimited', not '0'",
        ),
        (
            _new_file("etc/systemd/system/tmp.mount.d/zzz.conf", "[Mount]\nOptions=mode=1777\n"),
            "/tmp is not mounted nosuid",
        ),
        (
            _new_file("etc/systemd/coredump.conf.d/zzz.conf", "[Coredump]\nStorage=external\n"),
            "the storage of core dumps is 'external', not 'none'",
        ),
        (_content("etc/locale.conf", "LANG=xx_YY.UTF-8\n"), "the locale xx_YY.UTF-8 of"),
        (
            _edit("etc/nftables.conf", "priority filter; policy drop;", "priority filter;"),
            "the firewall lets everything in",
        ),
        (
            _edit(
                "etc/nftables.conf",
                "hook forward priority filter; policy drop;",
                "hook forward priority filter;",
            ),
            "the firewall's policy for forwarding is not drop",
        ),
        (
            _away("etc/systemd/system/ctrl-alt-del.target"),
            "the unneeded ctrl-alt-del.target is not masked",
        ),
        (_new_file("etc/sudoers.d/asyncpipe-build", "# x\n"), "a right of the build is left"),
        (_new_file("root/.bash_history"), "a history is left"),
        (_new_file("var/lib/systemd/random-seed"), "a random seed is left"),
        (_edit("etc/shadow", "root:*:", "root:$6$a$b:"), "root has a password"),
        (_edit("etc/shadow", "root:*:", "root::"), "root has an empty password"),
        (
            _edit("etc/passwd", "root:x", "eve:x:1000:1000::/:/bin/sh\nroot:x"),
            "the user eve (uid 1000, shell /bin/sh) is left",
        ),
        (
            _edit(
                "etc/ssh/sshd_config.d/00-asyncpipe.conf",
                "PasswordAuthentication no",
                "PasswordAuthentication yes",
            ),
            "sshd does not say 'passwordauthentication no'",
        ),
        (
            _edit("etc/ssh/sshd_config.d/00-asyncpipe.conf", "StrictModes", "Stricktmodes"),
            "sshd refuses its configuration",
        ),
        (_edit("etc/nftables.conf", "policy drop", "policy dorp"), "nft refuses"),
        (
            _away("etc/systemd/system/sysinit.target.wants/nftables.service"),
            "the firewall is not enabled",
        ),
        (_away("etc/sysctl.d/99-zz-asyncpipe.conf"), "the kernel's setting kernel.kptr_restrict"),
        (
            _away("etc/systemd/system/multi-user.target.wants/xe-linux-distribution.service"),
            "no Xen guest agent is enabled",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_verification_names_what_was_left_behind(
    provisioned: Provisioned, mutate: Callable[[Tree], Undo], named: str
) -> None:
    tree = provisioned.tree
    tree.copy_scripts()
    (tree.root / "etc/resolv.conf").unlink()
    undo = mutate(tree)
    try:
        script = "/var/lib/asyncpipe/common/verify_image.sh"
        result = tree.run("bash", script, HARDENING_PROFILE=provisioned.profile)
    finally:
        undo()
        shutil.rmtree(tree.root / "var/lib/asyncpipe")
    assert result.returncode == 1, result.stdout[-2000:]
    assert named in result.stdout
    assert "the image is not fit to be published" in result.stdout
    assert evidence(result.stdout) == []


def test_verifying_with_another_profile_fails(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    result = tree.script("common/verify_image.sh", HARDENING_PROFILE="minimal")
    shutil.rmtree(tree.root / "var/lib/asyncpipe")
    (tree.root / "etc/resolv.conf").unlink()
    assert result.returncode == 1
    assert "the hardening profile is not 'minimal'" in result.stdout
