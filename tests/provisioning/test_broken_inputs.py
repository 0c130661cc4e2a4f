"""What goes wrong is said in one sentence, with a status, and leaves nothing half-done."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provisioning.trees import Tree, bare_tree
from tests.templates.needs import REPO

PROVISIONING = REPO / "provisioning"


def refused(script: str, **variables: str) -> str:
    """Run a script that must stop before it touches anything; its message."""
    result = subprocess.run(
        ["bash", str(PROVISIONING / script)],
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize(
    ("script", "name", "choices"),
    [
        ("common/harden_system.sh", "HARDENING_PROFILE", "minimal baseline strict"),
        ("common/harden_system.sh", "ALLOW_FORWARDING", "true false"),
        ("common/harden_ssh.sh", "HARDENING_PROFILE", "minimal baseline strict"),
        ("common/verify_image.sh", "HARDENING_PROFILE", "minimal baseline strict"),
        ("common/cleanup.sh", "ZERO_FREE_SPACE", "auto always never"),
        ("common/update_system.sh", "UPDATE_REBOOT", "true false"),
        ("debian/debian_specific.sh", "AUTOMATIC_UPDATES", "true false"),
        ("redhat/redhat_specific.sh", "AUTOMATIC_UPDATES", "true false"),
        ("xen/install_xen_tools.sh", "XEN_TOOLS_SOURCE", "auto distribution release url iso"),
    ],
)
def test_an_unknown_choice_is_refused_by_name(script: str, name: str, choices: str) -> None:
    said = refused(script, **{name: "wild"})
    assert f"{name} is 'wild'; set it to one of: {choices}" in said


def test_a_user_name_that_is_none_is_refused() -> None:
    said = refused("common/cleanup.sh", BUILD_USER="../../etc")
    assert "BUILD_USER is '../../etc', which is no user name" in said


@pytest.mark.parametrize(
    ("script", "name", "value", "sentence"),
    [
        ("common/set_up_cloud_init.sh", "CLOUD_INIT_DATASOURCES", "a]", "set it to names with"),
        ("common/set_up_clock.sh", "NTP_SERVERS", "a;b", "set it to host names or addresses"),
        (
            "redhat/package_sources.sh",
            "PACKAGE_MIRROR",
            "http://u:p@m/",
            "without user and password",
        ),
        ("redhat/package_sources.sh", "RHSM_ORGANIZATION", "1", "give both or neither"),
        ("xen/install_xen_tools.sh", "XEN_TOOLS_SHA256", "abc", "64 lower-case hex digits"),
        ("xen/install_xen_tools.sh", "XEN_TOOLS_SOURCE", "release", "64 lower-case hex digits"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(
    script: str, name: str, value: str, sentence: str
) -> None:
    assert sentence in refused(script, **{name: value})


def test_an_agent_by_url_needs_its_checksum() -> None:
    said = refused(
        "xen/install_xen_tools.sh",
        XEN_TOOLS_SOURCE="url",
        XEN_TOOLS_URL="https://mirror.example/agent.deb",
    )
    assert "XEN_TOOLS_SHA256 must hold the package's SHA-256" in said


def test_an_agent_by_plain_http_is_refused() -> None:
    said = refused(
        "xen/install_xen_tools.sh",
        XEN_TOOLS_SOURCE="url",
        XEN_TOOLS_URL="http://mirror.example/agent.deb",
    )
    assert "must be an https:// URL" in said


def test_the_order_of_the_phases_is_asked_for() -> None:
    result = subprocess.run(
        ["bash", str(PROVISIONING / "provision.sh"), "everything"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (result.returncode, result.stderr) == (
        2,
        "usage: provision.sh update|configure|finish\n",
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    folder = tmp_path_factory.mktemp("broken")
    yield bare_tree("bookworm", folder)
    shutil.rmtree(folder)


def state(root: Path) -> dict[str, tuple[int, int]]:
    """Every file of /etc with its size and change time."""
    return {
        str(path.relative_to(root)): (path.lstat().st_size, path.lstat().st_ctime_ns)
        for path in (root / "etc").rglob("*")
        if path.name != "resolv.conf"
    }


SCRIPTS = [
    "common/harden_system.sh",
    "common/set_up_clock.sh",
    "common/set_up_cloud_init.sh",
    "debian/debian_specific.sh",
    "xen/install_xen_tools.sh",
]


@pytest.mark.heavy
@pytest.mark.parametrize("script", ["common/update_system.sh", *SCRIPTS])
def test_without_a_network_nothing_is_changed(tree: Tree, script: str) -> None:
    before = state(tree.root)
    result = tree.script(script, network=False)
    assert result.returncode == 1
    assert "check the network, the mirror and http_proxy" in result.stdout
    assert state(tree.root) == before


@pytest.mark.heavy
@pytest.mark.parametrize("script", [*SCRIPTS, "common/harden_ssh.sh", "common/cleanup.sh"])
def test_an_unsupported_system_is_left_alone(tree: Tree, script: str) -> None:
    release = tree.root / "etc/os-release"
    kept = tree.root / "kept-release"
    release.rename(kept)
    tree.write("etc/os-release", 'ID=fedora\nVERSION_ID="44"\n')
    before = state(tree.root)
    try:
        result = tree.script(script)
        assert result.returncode == 1
        assert "'fedora 44' is not supported" in result.stdout
        assert state(tree.root) == before
    finally:
        release.unlink()
        kept.rename(release)


@pytest.mark.heavy
@pytest.mark.parametrize("script", [*SCRIPTS, "common/harden_ssh.sh", "common/cleanup.sh"])
def test_a_read_only_etc_is_said_before_anything_is_changed(tree: Tree, script: str) -> None:
    tree.copy_scripts()
    before = state(tree.root)
    mount = "mount --bind /etc /etc && mount -o remount,ro,bind /etc"
    result = tree.run("sh", "-c", f"{mount} && exec bash /var/lib/asyncpipe/{script}")
    assert result.returncode == 1
    assert "/etc is read-only: remount the root file system with write access" in result.stdout
    assert state(tree.root) == before


@pytest.mark.heavy
def test_a_build_that_will_find_no_agent_fails_before_the_upgrade(tree: Tree) -> None:
    before = state(tree.root)
    result = tree.provision("update")
    assert result.returncode == 1
    assert "found no guest agent for debian 12 in: distribution iso release" in result.stdout
    assert "tools_iso_name" in result.stdout
    assert "update_system.sh" not in result.stdout
    assert state(tree.root) == before


@pytest.mark.heavy
def test_an_agent_with_another_sum_is_not_installed(tree: Tree) -> None:
    tree.write(
        "usr/local/bin/curl",
        '#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\necho agent >"$2"\n',
        0o755,
    )
    try:
        result = tree.script(
            "xen/install_xen_tools.sh",
            XEN_TOOLS_SOURCE="url",
            XEN_TOOLS_URL="https://mirror.example/agent.deb",
            XEN_TOOLS_SHA256="0" * 64,
        )
    finally:
        (tree.root / "usr/local/bin/curl").unlink()
    assert result.returncode == 1
    digest = hashlib.sha256(b"agent\n").hexdigest()
    assert f"has the SHA-256 {digest}, not {'0' * 64}: nothing was installed" in result.stdout
    assert tree.run("dpkg-query", "-W", "xe-guest-utilities").returncode != 0


@pytest.mark.heavy
def test_a_script_of_the_other_family_refuses(tree: Tree) -> None:
    result = tree.script("redhat/redhat_specific.sh")
    assert result.returncode == 1
    assert "is for the Red Hat family, not for debian" in result.stdout


@pytest.mark.heavy
def test_a_disk_that_is_too_small_is_told_before_the_upgrade(tree: Tree) -> None:
    tree.write("usr/local/bin/df", "#!/bin/sh\nprintf 'h\\n/dev/xvda1 9 9 77 9%% /\\n'\n", 0o755)
    before = state(tree.root)
    result = tree.script("common/update_system.sh")
    (tree.root / "usr/local/bin/df").unlink()
    assert result.returncode == 1
    assert "/ has 77 MiB free and 1024 MiB are needed" in result.stdout
    assert state(tree.root) == before


@pytest.mark.heavy
def test_a_full_disk_leaves_the_old_file(tree: Tree) -> None:
    tree.copy_scripts()
    command = (
        "mkdir -p /mnt/full && mount -t tmpfs -o size=8k tmpfs /mnt/full"
        " && echo old >/mnt/full/file && . /var/lib/asyncpipe/common/lib.sh"
        "; head -c 100000 /dev/zero | put /mnt/full/file 0644"
        "; true"
    )
    result = tree.run("bash", "-c", f"{command}", network=False)
    assert "/mnt/full/file cannot be written: is the disk full?" in result.stdout
    assert result.returncode != 0
    check = f"({command}) >/dev/null 2>&1; cat /mnt/full/file; ls -A /mnt/full"
    assert tree.run("bash", "-c", check).stdout.split() == ["old", "file"]


@pytest.mark.heavy
def test_sshd_s_refusal_leaves_the_old_configuration(tree: Tree) -> None:
    broken = tree.root / "etc/ssh/sshd_config"
    before = broken.read_text()
    broken.write_text(before + "NoSuchKeyword yes\n")
    try:
        result = tree.script("common/harden_ssh.sh")
    finally:
        broken.write_text(before)
    assert result.returncode == 1
    assert "sshd refuses the configuration above; nothing was changed" in result.stdout
    assert not (tree.root / "etc/ssh/sshd_config.d/00-asyncpipe.conf").exists()
