"""What happens only in a started system: the restart, and the installers' last act."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.provisioning.trees import Tree, agent_repository, bare_tree
from tests.templates.needs import REPO

pytestmark = pytest.mark.heavy

# A started system is one with this folder; its systemctl records what it is asked for.
_STARTED = (
    "mkdir -p /run/systemd/system"
    " && printf '#!/bin/sh\\necho \"systemctl $*\"\\n' >/usr/local/bin/systemctl"
    " && chmod 755 /usr/local/bin/systemctl && "
)
_UPDATE = "bash /var/lib/asyncpipe/common/update_system.sh"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    folder = tmp_path_factory.mktemp("started")
    tree = bare_tree("bookworm", folder)
    tree.copy_scripts()
    yield tree
    shutil.rmtree(folder)


def started(tree: Tree, command: str, *, reboot: str = "true") -> subprocess.CompletedProcess[str]:
    result = tree.run("sh", "-c", _STARTED + command, UPDATE_REBOOT=reboot)
    (tree.root / "usr/local/bin/systemctl").unlink()
    return result


def test_a_newer_kernel_restarts_the_machine_and_only_then(tree: Tree) -> None:
    assert "reboot" not in started(tree, _UPDATE).stdout
    kernel = tree.write("boot/vmlinuz-99.1.0-1-amd64", "x")
    try:
        assert "systemctl --no-block reboot" in started(tree, _UPDATE).stdout
        kept = started(tree, _UPDATE, reboot="false")
        assert (kept.returncode, "reboot" in kept.stdout) == (0, False)
        checked = started(tree, f"{_UPDATE} --check")
    finally:
        kernel.unlink()
    assert checked.returncode == 1
    assert "99.1.0-1-amd64 is installed: the restart did not happen" in checked.stdout


def test_a_restart_that_the_distribution_asks_for_is_made(tree: Tree) -> None:
    result = started(tree, f"touch /run/reboot-required && {_UPDATE}")
    assert "systemctl --no-block reboot" in result.stdout


def test_the_options_of_tmp_that_count_are_those_of_the_next_start(tree: Tree) -> None:
    """Debian 13 has mounted /tmp when the build begins, and systemd says how."""
    unit = tree.write("etc/systemd/system/tmp.mount", "[Mount]\nOptions=nosuid,nodev,noexec\n")
    scripts = "/var/lib/asyncpipe/common"
    ask = f". {scripts}/lib.sh; . {scripts}/verify_settings.sh; next_start tmp.mount Options"
    try:
        result = started(tree, f"bash -c '{ask}'")
    finally:
        unit.unlink()
    assert result.stdout.strip() == "nosuid,nodev,noexec"


def late(tree: Tree, cmdline: str) -> subprocess.CompletedProcess[str]:
    tree.write("late.sh", (REPO / "templates/common/http/late.sh").read_text())
    tree.write("cmdline", cmdline)
    return tree.run("sh", "-c", "mount --bind /cmdline /proc/cmdline && sh /late.sh")


def test_the_installers_last_act_opens_the_system_for_the_build(tree: Tree) -> None:
    result = late(tree, "quiet asyncpipe.http=http://192.0.2.1:8000 asyncpipe.user=builder\n")
    assert result.returncode == 0, result.stdout
    rights = tree.root / "etc/sudoers.d/asyncpipe-build"
    assert rights.stat().st_mode & 0o777 == 0o440
    assert rights.read_text() == "builder ALL=(ALL) NOPASSWD: ALL\n"
    assert tree.run("visudo", "-c").returncode == 0
    unit = "etc/systemd/system/asyncpipe-announce.service"
    assert "http://192.0.2.1:8000/ready" in (tree.root / unit).read_text()
    wants = tree.root / "etc/systemd/system/multi-user.target.wants/asyncpipe-announce.service"
    assert wants.is_symlink()


def test_the_installers_last_act_fails_without_its_values(tree: Tree) -> None:
    result = late(tree, "quiet asyncpipe.user=builder\n")
    assert result.returncode == 1
    assert "asyncpipe.http are not on the kernel's command line" in result.stdout


_XEN = (
    "mount -t tmpfs tmpfs /sys && mkdir /sys/hypervisor && echo {kind} >/sys/hypervisor/type && "
    "bash /var/lib/asyncpipe/xen/install_xen_tools.sh"
)


@pytest.fixture
def agent(tree: Tree) -> Iterator[None]:
    """An agent whose service is there; dpkg's records say that it is installed."""
    agent_repository(tree)
    installed = tree.run("sh", "-c", "apt-get -qq update && apt-get -qq install xe-guest-utilities")
    assert installed.returncode == 0, installed.stdout
    yield
    tree.run("apt-get", "-qq", "--yes", "purge", "xe-guest-utilities")


@pytest.mark.usefixtures("agent")
def test_in_a_guest_of_xen_the_agent_must_run(tree: Tree) -> None:
    said = started(tree, _XEN.format(kind="xen"))
    assert said.returncode == 0, said.stdout
    # The recording systemctl knows every unit, so that the first name is taken.
    assert "systemctl restart xen-guest-agent.service" in said.stdout
    assert "xen-guest-agent.service runs" in said.stdout
    dead = "printf '#!/bin/sh\\necho known; [ $1 != is-active ]\\n' >/usr/local/bin/systemctl && "
    result = tree.run("sh", "-c", _STARTED + dead + _XEN.format(kind="xen"))
    (tree.root / "usr/local/bin/systemctl").unlink()
    assert result.returncode == 1
    assert "is installed and does not run: see journalctl -u" in result.stdout


@pytest.mark.usefixtures("agent")
def test_elsewhere_the_agent_is_enabled_and_not_started(tree: Tree) -> None:
    said = started(tree, _XEN.format(kind="kvm"))
    assert said.returncode == 0, said.stdout
    assert "it is not started, because this is not a running Xen guest" in said.stdout
    assert "systemctl restart" not in said.stdout
