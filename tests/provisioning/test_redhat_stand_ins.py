"""The Red Hat family: the scripts run whole in a tree whose commands are stand-ins that record.

What the distribution's own tools do is not proved here; which of them are called, with what, and
that a second run asks for nothing new, is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.provisioning.trees import Tree, bare_tree

pytestmark = pytest.mark.heavy

CALLS = "var/calls"

# Each stand-in records its call, then does the least that a script can see.
_RECORD = "#!/bin/bash\nprintf '%s\\n' \"${0##*/} $*\" >>/var/calls\n"

_DNF = r"""
args=() words=()
for arg; do
    case $arg in
        --setopt=* | --quiet | --assumeyes | --nogpgcheck) ;;
        *) words+=("$arg") ;;
    esac
done
case ${words[0]} in
    install)
        for name in "${words[@]:1}"; do
            [ "$name" != "${REFUSED:-}" ] || exit 1
            echo "$name" >>/var/installed
        done
        ;;
    repoquery)
        grep -x "${words[-1]} .*" /var/offered | cut -d' ' -f2
        ;;
esac
exit 0
"""

_RPM = r"""
case $* in
    "--quiet -q "*) grep -qx "${@: -1}" /var/installed ;;
    "-q --qf "*) echo 7.30.0 ;;
    "-qa "*)
        echo "package bash 0:5.1.8-9.el9 x86_64"
        echo "package gpg-pubkey 0:8483c65d-5ccc5b19 (none)"
        echo "package dbus 1:1.12.20-8.el9 x86_64"
        ;;
esac
"""

# As the real one: PAM's files are links to what authselect makes.
_AUTHSELECT = r"""
[ "$1" = enable-feature ] || exit 0
mkdir -p /etc/authselect
echo "auth required pam_faillock.so preauth" >/etc/authselect/system-auth
ln -sf /etc/authselect/system-auth /etc/pam.d/system-auth
"""

_FIREWALL = """
case $* in
    --get-default-zone) echo drop ;;
    *--query-service=cockpit*) [ ! -e /var/no-cockpit ] ;;
    *--remove-service*) : >/var/no-cockpit ;;
esac
"""

UNITS = [
    *("firewalld.service", "chronyd.service", "dnf-automatic.timer", "kdump.service"),
    *("auditd.service", "xe-linux-distribution.service"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    tree: Tree
    calls: list[str]
    first: str
    second: str
    second_calls: list[str]


@pytest.fixture(scope="module", params=["almalinux 9.8", "ol 10.0"])
def provisioned(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provisioned]:
    folder = tmp_path_factory.mktemp("redhat")
    tree = red_hat_tree(bare_tree("bookworm", folder), *request.param.split())
    first, calls = chain(tree)
    second, second_calls = chain(tree)
    yield Provisioned(tree=tree, calls=calls, first=first, second=second, second_calls=second_calls)
    shutil.rmtree(folder)


# What the verification asks that a stand-in would answer too kindly is Debian's own.
REAL = ("cloud-init", "libnss-myhostname", "procps", "kmod")
MACHINE_ID = "0123456789abcdef0123456789abcdef"
ENTRY = f"boot/loader/entries/{MACHINE_ID}-5.14.0-611.el9.x86_64.conf"


def red_hat_tree(tree: Tree, name: str, version: str) -> Tree:
    install = "apt-get -qq update && apt-get -qq install --no-install-recommends"
    tree.copy_scripts()
    real = tree.run("sh", "-c", f"{install} {' '.join(REAL)}")
    assert real.returncode == 0, real.stdout[-2000:]
    for apt in ("var/cache/apt", "var/lib/apt"):
        shutil.rmtree(tree.root / apt)
    (tree.root / "etc/os-release").unlink()
    tree.write("etc/os-release", f'NAME="{name}"\nID="{name}"\nVERSION_ID="{version}"\n')
    bodies = {"dnf": _DNF, "rpm": _RPM, "authselect": _AUTHSELECT}
    bodies["firewall-offline-cmd"] = _FIREWALL
    for command in (*bodies, "grubby", "dracut", "subscription-manager"):
        tree.write(f"usr/local/bin/{command}", _RECORD + bodies.get(command, ""), 0o755)
    for unit in UNITS:
        tree.write(f"usr/lib/systemd/system/{unit}", "[Install]\nWantedBy=multi-user.target\n")
    tree.write("var/installed", "openssh-server\nopenssh-clients\ncurl\nca-certificates\n")
    tree.write("var/offered", "xe-guest-utilities-latest 7.30.0\n")
    tree.write("etc/dnf/dnf.conf", "[main]\nproxy=http://proxy.example:3128\n")
    tree.write("etc/default/grub", "GRUB_TIMEOUT=5\n")
    tree.write("etc/ssh/sshd_config.d/01-permitrootlogin.conf", "PermitRootLogin yes\n")
    tree.write("root/anaconda-ks.cfg", "rootpw\n")
    tree.write("etc/kdump.conf", "auto_reset_crashkernel yes\npath /var/crash\n")
    tree.write(ENTRY, "title 9\n")
    tree.write(ENTRY.replace("5.14.0-611.el9.x86_64", "0-rescue"), "title rescue\n")
    tree.write(f"boot/vmlinuz-0-rescue-{MACHINE_ID}", "x")
    tree.write("etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1994-05.com.redhat:1\n")
    # As postlogin of this family does.
    session = tree.root / "etc/pam.d/common-session"
    session.write_text(f"{session.read_text()}session optional pam_umask.so\n")
    return tree


def chain(tree: Tree) -> tuple[str, list[str]]:
    tree.write(CALLS, "")
    said = []
    for phase in ("update", "configure", "finish"):
        result = tree.provision(phase)
        assert result.returncode == 0, result.stdout[-3000:]
        said.append(result.stdout)
    return "".join(said), (tree.root / CALLS).read_text().splitlines()


def plain(calls: list[str]) -> list[str]:
    """The calls without the options that every dnf call has."""
    dropped = ("--setopt=", "--quiet", "--assumeyes")
    return [
        " ".join(word for word in call.split() if not word.startswith(dropped)) for call in calls
    ]


def test_the_system_is_upgraded_then_set_up(provisioned: Provisioned) -> None:
    calls = plain(provisioned.calls)
    wanted = [
        "dnf upgrade --refresh",
        "dnf autoremove",
        "dracut --force --regenerate-all",
        "grubby --update-kernel=ALL --remove-args=crashkernel",
        "dnf install dnf-automatic",
        "dnf install cloud-init cloud-utils-growpart",
        "dnf install chrony",
        "dnf install xe-guest-utilities-latest",
        "dnf install firewalld",
        "dnf install libpwquality authselect",
        "authselect enable-feature with-faillock",
        "dnf install audit",
        "dnf remove --oldinstallonly",
        "dnf clean all",
    ]
    positions = [calls.index(call) for call in wanted]
    assert positions == sorted(positions)


def test_nothing_of_the_build_s_machine_id_is_left_and_kdump_keeps_no_memory(
    provisioned: Provisioned,
) -> None:
    root = provisioned.tree.root
    assert not list((root / "boot").rglob("*rescue*"))
    assert not (root / "etc/iscsi/initiatorname.iscsi").exists()
    assert "auto_reset_crashkernel no\n" in (root / "etc/kdump.conf").read_text()


def test_a_clone_s_boot_entries_are_named_after_it(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    other = "f" * 32
    entry = tree.root / ENTRY
    editenv = '#!/bin/sh\necho saved_entry=@\necho "$*" >>/var/calls\n'
    tree.write("usr/local/bin/grub2-editenv", editenv.replace("@", entry.stem), 0o755)
    tree.write("etc/machine-id", f"{other}\n")
    try:
        result = tree.run("/usr/libexec/asyncpipe-boot-entries")
        assert result.returncode == 0, result.stdout
        renamed = [path.name for path in entry.parent.iterdir()]
        assert renamed == [entry.name.replace(MACHINE_ID, other)]
        saved = (tree.root / CALLS).read_text().splitlines()[-1]
        assert saved == f"- set saved_entry={entry.stem.replace(MACHINE_ID, other)}"
    finally:
        (tree.root / "etc/machine-id").write_text("")
        next(entry.parent.iterdir()).rename(entry)


def test_a_mirror_becomes_the_only_source(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    vendor = tree.write("etc/yum.repos.d/vendor.repo", "[baseos]\nenabled = 1\n")
    result = tree.script(
        "redhat/package_sources.sh",
        PACKAGE_MIRROR="https://mirror.example/9",
        PACKAGE_MIRROR_APPSTREAM="appstream/x86_64/",
    )
    own = tree.root / "etc/yum.repos.d/asyncpipe.repo"
    assert result.returncode == 0, result.stdout
    text = own.read_text()
    own.unlink()
    assert "baseurl=https://mirror.example/9/BaseOS/x86_64/os/\n" in text
    assert "baseurl=https://mirror.example/9/appstream/x86_64/\n" in text
    assert "gpgcheck=1" in text
    assert "enabled=0" in vendor.read_text()


def test_a_build_that_was_registered_is_not_in_the_end(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    result = tree.script(
        "redhat/package_sources.sh",
        RHSM_ORGANIZATION="1234",
        RHSM_ACTIVATION_KEY="invented-key",
    )
    assert "is registered until the clean-up" in result.stdout
    assert "invented-key" not in result.stdout
    tree.write("etc/pki/consumer/cert.pem", "x")
    assert tree.script("common/cleanup.sh").returncode == 0
    calls = (tree.root / CALLS).read_text().splitlines()
    assert "subscription-manager unregister" in calls
    assert not (tree.root / "etc/pki/consumer/cert.pem").exists()


def test_every_dnf_call_neither_asks_nor_hangs(provisioned: Provisioned) -> None:
    for call in provisioned.calls:
        if call.startswith("dnf "):
            assert "--assumeyes" in call
            assert "--setopt=timeout=30" in call


def test_the_firewall_leaves_ssh_and_closes_the_console_of_cockpit(
    provisioned: Provisioned,
) -> None:
    calls = plain(provisioned.calls)
    assert "firewall-offline-cmd --set-default-zone=public" in calls
    assert "firewall-offline-cmd --zone=public --query-service=ssh" in calls
    assert "firewall-offline-cmd --zone=public --remove-service-from-zone=cockpit" in calls


def test_epel_serves_one_package_and_goes(provisioned: Provisioned) -> None:
    calls = plain(provisioned.calls)
    assert calls.index("dnf install epel-release") < calls.index("dnf remove epel-release")


def test_root_s_password_login_of_anaconda_goes(provisioned: Provisioned) -> None:
    root = provisioned.tree.root
    assert not (root / "etc/ssh/sshd_config.d/01-permitrootlogin.conf").exists()
    assert not (root / "root/anaconda-ks.cfg").exists()
    assert (root / "etc/dnf/dnf.conf").read_text() == "[main]\n"


def test_the_second_run_installs_and_writes_nothing(provisioned: Provisioned) -> None:
    assert [call for call in plain(provisioned.second_calls) if " install " in call] == []
    assert "dracut --force --regenerate-all" not in provisioned.second_calls
    assert " wrote " not in provisioned.second


def test_the_evidence_has_the_packages_of_rpm(provisioned: Provisioned) -> None:
    lines = [line for line in provisioned.second.splitlines() if "asyncpipe-evidence/1" in line]
    assert "asyncpipe-evidence/1 package bash 5.1.8-9.el9 x86_64" in lines
    assert "asyncpipe-evidence/1 package dbus 1:1.12.20-8.el9 x86_64" in lines
    assert not any("gpg-pubkey" in line for line in lines)
    assert "asyncpipe-evidence/1 agent xe-guest-utilities-latest 7.30.0" in lines


def test_an_agent_that_is_too_old_or_missing_is_told(provisioned: Provisioned) -> None:
    tree = provisioned.tree
    tree.write("var/offered", "xe-guest-utilities-latest 7.20.2\n")
    installed = tree.root / "var/installed"
    before = installed.read_text()
    installed.write_text(before.replace("xe-guest-utilities-latest\n", ""))
    try:
        result = tree.script("xen/install_xen_tools.sh", XEN_TOOLS_SOURCE="distribution")
    finally:
        installed.write_text(before)
    assert result.returncode == 1
    assert "passes over xe-guest-utilities-latest 7.20.2" in result.stdout
    assert "or XEN_TOOLS_URL too for a package of yours" in result.stdout
