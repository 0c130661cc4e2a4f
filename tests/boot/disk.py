"""A disk of a real system that starts by BIOS and by UEFI: debootstrap, kernel, GRUB, provisioning.

The layout is the one that the templates' installers make: a BIOS boot partition, an EFI system
partition with the loader in the removable path, and the root file system last, so that it can grow.
The boot loaders are put in place by the script that the installers run in the end
(templates/common/http/both_firmwares.sh), the system by the scripts of a build.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.boot.machine import PRIORITY
from tests.provisioning.trees import Tree, agent_repository, bare_tree
from tests.templates.needs import REPO, cache_dir, need_root, program

BUILT_MIB = 3072
CLONE_MIB = 6144  # what a clone's owner makes of it
TIMEOUT_S = 7200

_KERNEL = {"bookworm": "linux-image-amd64", "trixie": "linux-image-amd64"}
_UBUNTU_KERNEL = "linux-image-virtual"
# What each installer leaves that matters here: its boot loader and its way to the network.
_INSTALLED = ("grub-pc", "initramfs-tools", "e2fsprogs", "locales", "procps", "kmod")
_NETWORKING = {
    "bookworm": ("ifupdown", "isc-dhcp-client"),
    "trixie": ("ifupdown", "dhcpcd-base"),
}
_UBUNTU_NETWORKING = ("netplan.io", "cloud-init", "ufw")
_SIGNED = ("grub-efi-amd64-bin", "grub-efi-amd64-signed", "shim-signed")
# What both_firmwares.sh asks for is there before: where it runs here has no network.
_ASKED_FOR = ("fdisk", "grub2-common", "grub-pc-bin", *_SIGNED)

_LOADERS = "both_firmwares.sh"
_INIT = "/root/install-loaders"
_INSTALL = f"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec >/dev/ttyS0 2>&1
mount -t tmpfs tmpfs /run
modprobe vfat
mkdir -p /boot/efi
mount /boot/efi
sh /root/{_LOADERS}
umount /boot/efi
sync
mount -o remount,ro /
echo o >/proc/sysrq-trigger
sleep 60
"""
INSTALL_INPUTS = (Path(__file__), REPO / "templates/common/http" / _LOADERS)
# A console for the tests' log, after those of the template. Emulated timers are late on a busy
# machine, which the kernel takes for a broken one at its start, and systemd for a hanging unit.
_PARAMETERS = (
    "console=ttyS0 no_timer_check systemd.default_timeout_start_sec=1800"
    " systemd.default_device_timeout_sec=1800"
)
_SERIAL = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {_PARAMETERS}"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """A disk's root file system, mounted."""

    device: str
    root: Path


def provisioned_disk(suite: str, profile: str, work: Path) -> Path:
    """The raw disk of a template, from the cache or built now; not to be written to."""
    inputs = digest_of(REPO / "provisioning", *INSTALL_INPUTS)

    def make(disk: Path) -> None:
        copy(installed_disk(suite, work), disk)
        _provision(profile, disk, work)

    return cached(f"boot-{suite}-{profile}", inputs, make)


def installed_disk(suite: str, work: Path) -> Path:
    """The raw disk as an installer leaves it: it starts by both firmwares, not provisioned."""

    def make(disk: Path) -> None:
        _unpack(suite, disk, work)
        _install_loaders(disk, work)

    return cached(f"boot-installed-{suite}", digest_of(*INSTALL_INPUTS), make)


def copy(disk: Path, target: Path) -> None:
    """Copy a disk in order to write to it; holes stay holes."""
    _run("cp", "--sparse=always", str(disk), str(target))


def clone(disk: Path, target: Path) -> Path:
    """A copy as a host makes it of a template, on a larger disk."""
    copy(disk, target)
    _run("truncate", "-s", f"{CLONE_MIB}M", str(target))
    return target


@contextlib.contextmanager
def attached(disk: Path) -> Iterator[str]:
    """The loop device of a disk, with its partitions."""
    device = _run("losetup", "--show", "--find", str(disk)).strip()
    try:
        # Not --partscan: some kernels leave it undone.
        _run("partx", "--update", device)
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=False, timeout=60)
        _wait_until_released(device)


def _wait_until_released(device: str) -> None:
    """Wait while another mount namespace still has the disk.

    A command in a tree beside starts with a copy of all mounts: until it ends, a file system that
    is unmounted here is not yet whole on its disk.
    """
    backing = Path("/sys/block") / Path(device).name / "loop/backing_file"
    ends_s = time.monotonic() + TIMEOUT_S
    while backing.exists():
        assert time.monotonic() < ends_s, f"{device} is still in use"
        time.sleep(0.5)


@contextlib.contextmanager
def mounted(disk: Path, work: Path) -> Iterator[Mounted]:
    """Mount the root file system of a disk in ``work/root``."""
    root = work / "root"
    root.mkdir(parents=True, exist_ok=True)
    with attached(disk) as device:
        try:
            _run("mount", f"{device}p3", str(root))
            yield Mounted(device=device, root=root)
        finally:
            subprocess.run(["umount", "--recursive", str(root)], check=False, timeout=60)


def cached(name: str, inputs: str, make: Callable[[Path], None]) -> Path:
    """The disk of that name made of these inputs, ``make`` makes it; one made of others goes."""
    need_root()
    disk = cache_dir() / f"{name}-{inputs}.raw"
    with disk.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a run beside this one may want the same disk
        if not disk.exists():
            partial = disk.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            make(partial)
            for old in cache_dir().glob(f"{name}-*.raw"):
                old.unlink()
            partial.rename(disk)
    return disk


def digest_of(*paths: Path) -> str:
    """Names what a disk is made of: a changed script makes a new disk."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(str(file.relative_to(REPO)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _unpack(suite: str, disk: Path, work: Path) -> None:
    """Put the system on a disk with the partitions of the templates."""
    for name, package in (("sgdisk", "gdisk"), ("mkfs.vfat", "dosfstools")):
        program(name, package, install=True)
    base = _base(suite, work)
    _run("truncate", "-s", f"{BUILT_MIB}M", str(disk))
    partitions = ["-n1:0:+1M", "-t1:ef02", "-n2:0:+64M", "-t2:ef00", "-n3:0:0", "-t3:8300"]
    _run("sgdisk", *partitions, str(disk))
    with attached(disk) as device:
        _run("mkfs.vfat", "-F", "32", f"{device}p2")
        _run("mkfs.ext4", "-q", f"{device}p3")
    with mounted(disk, work) as system:
        _run("tar", "-C", str(system.root), "-xf", str(base))
        _prepare(system)


def _provision(profile: str, disk: Path, work: Path) -> None:
    with mounted(disk, work) as system:
        tree = _tree(system)
        _must(tree.run("useradd", "--create-home", "--uid", "1000", "packer"))
        for phase in ("update", "configure", "finish"):
            _must(tree.provision(phase, HARDENING_PROFILE=profile))


def _tree(system: Mounted) -> Tree:
    devices = tuple(f"{system.device}{part}" for part in ("", "p1", "p2", "p3"))
    return Tree(root=system.root, devices=devices)


def _prepare(system: Mounted) -> None:
    tree = _tree(system)
    root, efi = (
        _run("blkid", "-s", "UUID", "-o", "value", f"{system.device}p{number}").strip()
        for number in "32"
    )
    tree.write(
        "etc/fstab",
        f"UUID={root} / ext4 errors=remount-ro 0 1\n"
        f"UUID={efi} /boot/efi vfat umask=0077,x-systemd.device-timeout=1800 0 1\n",
    )
    _must(tree.run("apt-get", "--quiet", "--yes", "install", *_ASKED_FOR))
    tree.write("etc/default/grub.d/99-test-console.cfg", _SERIAL)
    agent_repository(tree)


def _install_loaders(disk: Path, work: Path) -> None:
    """Run the installers' script on the disk's own kernel: not every machine's can mount FAT."""
    scripts = (f"root/{_LOADERS}", _INIT.removeprefix("/"))
    with mounted(disk, work) as system:
        tree = _tree(system)
        tree.write(scripts[0], (REPO / "templates/common/http" / _LOADERS).read_text())
        tree.write(scripts[1], _INSTALL, 0o755)
        for name in ("vmlinuz", "initrd.img"):
            newest = max((system.root / "boot").glob(f"{name}-*"))
            shutil.copy(newest, work / name)
    qemu = program("qemu-system-x86_64", "qemu-system-x86", install=True)
    log = work / "loaders.log"
    command = [
        *(*PRIORITY, qemu, "-machine", "q35"),
        *("-accel", "tcg,thread=multi", "-cpu", "max,la57=off"),
        *("-m", "1024", "-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{log}"),
        *("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe"),
        *("-kernel", str(work / "vmlinuz"), "-initrd", str(work / "initrd.img")),
        *("-append", f"root=/dev/vda3 rw console=ttyS0 no_timer_check quiet panic=-1 init={_INIT}"),
    ]
    _run(*command)
    text = log.read_bytes().decode(errors="replace")
    assert "starts by BIOS and by UEFI" in text, text[-4000:]
    with mounted(disk, work) as system:
        for script in scripts:
            (system.root / script).unlink()


def _base(suite: str, work: Path) -> Path:
    """A tree as an installer leaves it: with kernel, boot loader and network, up to date."""
    archive = cache_dir() / f"boot-base-{suite}.tar"
    if archive.exists():
        return archive
    folder = work / "base"
    folder.mkdir()
    tree = bare_tree(suite, folder)
    tree.copy_scripts()
    packages = [
        *_INSTALLED,
        *_SIGNED,
        _KERNEL.get(suite, _UBUNTU_KERNEL),
        *_NETWORKING.get(suite, _UBUNTU_NETWORKING),
    ]
    install = (
        ". /var/lib/asyncpipe/common/lib.sh; apt_get update; apt_get dist-upgrade;"
        " apt_get install --no-install-recommends"
    )
    _must(tree.run("bash", "-c", f'{install} "$@"; apt_get clean', "install", *packages))
    _must(tree.run("rm", "-rf", "/var/lib/asyncpipe"))
    partial = archive.with_suffix(".partial")
    _run("tar", "-C", str(tree.root), "-cf", str(partial), ".")
    partial.rename(archive)
    _run("rm", "-rf", str(folder))
    return archive


def _must(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stdout[-4000:]


def _run(*command: str) -> str:
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert result.returncode == 0, f"{command}: {result.stderr[-2000:]}"
    return result.stdout
