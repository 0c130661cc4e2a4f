"""Debian trees made by debootstrap, and a way to run a command in one as its root.

A command runs in namespaces of its own (mounts, processes, host name), so that nothing of it is
left. No init runs in a tree: services can be enabled there, not started.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.templates.needs import REPO, cache_dir, need_root, program

PACKAGES = "systemd,systemd-sysv,openssh-server,sudo,ca-certificates,dbus,iproute2"
AGENT = "xe-guest-utilities"
TIMEOUT_S = 1800
UBUNTU = ("jammy", "noble")
_KEYRING = "pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb"
_KEYRING_SHA256 = "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8"
SHARED_SCRIPTS = ("provision.sh", "common", "xen")  # templates/common/provisioning.hcl

# Mounts what a started system has, then becomes the command in the tree. $1 is the tree.
_ENTER = r"""
set -eu
tree=$1
shift
mount --make-rprivate /
mount -t proc proc "$tree/proc"
mount -t tmpfs tmpfs "$tree/run"
mount -t tmpfs tmpfs "$tree/dev"
mkdir "$tree/dev/shm" "$tree/dev/pts"
for name in null zero full random urandom tty; do
    : >"$tree/dev/$name"
    mount --bind "/dev/$name" "$tree/dev/$name"
done
ln -s /proc/self/fd "$tree/dev/fd"
for name in $DEVICES; do
    : >"$tree/$name"
    mount --bind "$name" "$tree/$name"
    uuid=$(blkid -s UUID -o value "$name" || true)
    mkdir -p "$tree/dev/disk/by-uuid"
    [ -z "$uuid" ] || ln -s "$name" "$tree/dev/disk/by-uuid/$uuid"
done
[ -z "$DEVICES" ] || mount -t sysfs -o ro sysfs "$tree/sys"
exec chroot "$tree" /usr/bin/env -i HOME=/root \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    root: Path
    devices: tuple[str, ...] = ()  # block devices that the tree may see, and /sys with them
    timeout_s: float = TIMEOUT_S

    def run(
        self,
        *command: str,
        network: bool = True,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the tree; its two streams come as one, in order."""
        flags = ["--mount", "--pid", "--fork", "--uts", "--ipc", *([] if network else ["--net"])]
        variables = [f"{name}={value}" for name, value in environment.items()]
        return subprocess.run(
            ["unshare", *flags, "sh", "-c", _ENTER, "enter", str(self.root), *variables, *command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.timeout_s,
            env={**os.environ, "DEVICES": " ".join(self.devices)},
        )

    def provision(
        self, phase: str, *, network: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one phase as a build does: its family's scripts copied in, the build's DNS."""
        self.copy_scripts(*SHARED_SCRIPTS, self.family)
        script = "/var/lib/asyncpipe/provision.sh"
        return self.run("bash", script, phase, network=network, **variables)

    def script(
        self, name: str, *arguments: str, network: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one script of provisioning/ by its path there."""
        self.copy_scripts()
        path = f"/var/lib/asyncpipe/{name}"
        return self.run("bash", path, *arguments, network=network, **variables)

    @property
    def family(self) -> str:
        """The folder of this system's own scripts."""
        text = (self.root / "etc/os-release").read_text()
        found = re.search(r'^ID="?(debian|ubuntu)"?$', text, re.MULTILINE)
        return "debian" if found else "redhat"

    def copy_scripts(self, *names: str) -> None:
        """Copy what a template uploads; without names all of it."""
        target = self.root / "var/lib/asyncpipe"
        target.mkdir(exist_ok=True)
        for name in names or (".",):
            _run("cp", "-R", f"{REPO}/provisioning/{name}", str(target))
        resolver = self.root / "etc/resolv.conf"
        resolver.unlink(missing_ok=True)
        resolver.write_text(Path("/etc/resolv.conf").read_text())

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file


def debian_tree(suite: str, folder: Path) -> Tree:
    """A fresh tree of that suite, with a stand-in for the guest agent in a local repository."""
    tree = bare_tree(suite, folder)
    agent_repository(tree)
    return tree


def bare_tree(suite: str, folder: Path) -> Tree:
    need_root()
    archive = cache_dir() / f"debootstrap-{suite}.tar"
    if not archive.exists():
        _debootstrap(suite, archive)
    root = folder / suite
    root.mkdir()
    _run("tar", "-C", str(root), "-xf", str(archive))
    return Tree(root=root)


def _debootstrap(suite: str, archive: Path) -> None:
    debootstrap = program("debootstrap", "debootstrap", install=True)
    root = archive.with_suffix(".tree")
    _run("rm", "-rf", str(root))
    source = _ubuntu(archive.parent) if suite in UBUNTU else _debian()
    options = ["--variant=minbase", f"--include={PACKAGES}", *source.options]
    _run(debootstrap, *options, suite, str(root), source.mirror, *source.script)
    if suite in UBUNTU:
        pockets = (
            f"deb {source.mirror} {suite}{p} main universe\n" for p in ("", "-updates", "-security")
        )
        (root / "etc/apt/sources.list").write_text("".join(pockets))
    partial = archive.with_suffix(".partial")
    _run("tar", "-C", str(root), "-cf", str(partial), ".")
    partial.rename(archive)
    _run("rm", "-rf", str(root))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    mirror: str
    options: tuple[str, ...] = ()
    script: tuple[str, ...] = ()


def _debian() -> _Source:
    default = "http://deb.debian.org/debian"
    return _Source(mirror=os.environ.get("ASYNCPIPE_TEST_DEBIAN_MIRROR", default))


def _ubuntu(cache: Path) -> _Source:
    """Ubuntu's archive, with the keyring that it publishes itself, known by its digest."""
    default = "http://archive.ubuntu.com/ubuntu"
    mirror = os.environ.get("ASYNCPIPE_TEST_UBUNTU_MIRROR", default)
    package = cache / Path(_KEYRING).name
    if not package.exists():
        with urllib.request.urlopen(f"{mirror}/{_KEYRING}", timeout=60) as answer:
            package.write_bytes(answer.read())
    assert hashlib.sha256(package.read_bytes()).hexdigest() == _KEYRING_SHA256, package
    folder = cache / "ubuntu-keyring"
    _run("dpkg-deb", "--extract", str(package), str(folder))
    keyring = folder / "usr/share/keyrings/ubuntu-archive-keyring.gpg"
    return _Source(
        mirror=mirror,
        options=(f"--keyring={keyring}", "--components=main,universe"),
        # Debian's debootstrap names no newer release of Ubuntu; they are all made alike.
        script=("/usr/share/debootstrap/scripts/gutsy",),
    )


def agent_repository(tree: Tree) -> None:
    """The agent comes from outside of Debian: here is a package of its name with its service."""
    package = tree.root / "srv/agent/package"
    tree.write(
        "srv/agent/package/DEBIAN/control",
        f"Package: {AGENT}\nVersion: 8.4.0-1\nArchitecture: amd64\n"
        "Maintainer: Tests <tests@example.invalid>\nDescription: stand-in\n",
    )
    tree.write(
        "srv/agent/package/usr/lib/systemd/system/xe-linux-distribution.service",
        "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
    )
    deb = package.parent / f"{AGENT}.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", str(package), str(deb))
    control = (package / "DEBIAN/control").read_text()
    digest = _run("sha256sum", str(deb)).split()[0]
    (package.parent / "Packages").write_text(
        f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n\n"
    )
    tree.write("etc/apt/sources.list.d/agent.list", "deb [trusted=yes] file:/srv/agent ./\n")


def _run(*command: str) -> str:
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    return result.stdout
