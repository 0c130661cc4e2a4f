"""A disk that Packer provisioned over SSH in QEMU, in a build by ``asyncpipe build``.

The template is templates/qemu/debian-12: its variables, its provisioners, its way to an XVA. What
differs is the start: the disk of ``tests/boot``, on which an installer's work is done, in place of
the installer. Debian's Packer has the qemu builder and is 1.6.6, older than the template asks for,
so what that version does not know is rewritten.
"""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot import disk
from tests.boot.real import asyncpipe, well
from tests.provisioning.trees import Tree
from tests.templates.needs import REPO, program

TEMPLATE = "templates/qemu/debian-12"
USER = "packer"
_INPUTS = (REPO / "provisioning", REPO / "templates/common", REPO / TEMPLATE, Path(__file__))
_HTTP = REPO / "templates/common/http"

# What Debian's installer leaves beside its packages (templates/common/http/debian/preseed.cfg); the
# interface is the first slot behind the graphics card of QEMU's machine "pc".
_INTERFACES = "auto lo\niface lo inet loopback\n\nallow-hotplug ens3\niface ens3 inet dhcp\n"
_HOSTS = "127.0.0.1 localhost\n127.0.1.1 debian\n"
_INSTALLED = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install "$@"
useradd --create-home --shell /bin/bash {USER}
echo "{USER}:$PASSWORD" | chpasswd
sh /root/late.sh
rm /root/late.sh /root/cmdline
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A release of Debian, its suite, and the hardening profile of its template."""

    version: str
    suite: str
    profile: str

    @property
    def place(self) -> str:
        """Where the template's build is published."""
        strict = "" if self.profile == "baseline" else f"-{self.profile}"
        return f"debian{self.version}-qemu{strict}"


def packed_disk(system: System, work: Path) -> Path:
    """The raw disk that a build published, from the cache or built now; not to be written to."""
    inputs = disk.digest_of(*_INPUTS, *disk.INSTALL_INPUTS)

    def make(raw: Path) -> None:
        here = work / f"packer-{system.suite}"
        here.mkdir()
        _build(system, here)
        well(here, "pull", system.place, "-o", "built.xva")
        well(here, "extract", "built.xva", "--format", "raw", "-o", str(raw))
        shutil.rmtree(here)

    return disk.cached(f"boot-packer-{system.suite}-{system.profile}", inputs, make)


def _build(system: System, here: Path) -> None:
    """Build and publish the template, from a disk as an installer leaves it."""
    packer = _packer()
    password, port = secrets.token_urlsafe(12), _free_port()
    installed = here / "installed.raw"
    disk.copy(disk.installed_disk(system.suite, here), installed)
    _finish_installation(installed, here, password, port)
    _write_template(system, here, installed)
    # a file, since asyncpipe makes a password of its own and gives it to Packer in the environment
    (here / "password.pkrvars.hcl").write_text(f'build_password = "{password}"\n')
    variables = {
        "accelerator": "tcg",
        "disk_size_mb": disk.BUILT_MIB,
        "memory_mb": 1536,
        "vcpus": 1,
        "hardening_profile": system.profile,
        "http_port_min": port,
        "http_port_max": port,
    }
    done = asyncpipe(
        here,
        *("build", TEMPLATE, "--packer", packer, "--var-file", "password.pkrvars.hcl"),
        *(word for name, value in variables.items() for word in ("--var", f"{name}={value}")),
        PACKER_CACHE_DIR=str(here / "cache"),
    )
    assert done.returncode == 0, done.stderr
    # shells complain so whose working folder went in the clean-up
    assert "getcwd" not in done.stdout + done.stderr


def _packer() -> str:
    packer = program("packer", "packer", install=True)
    said = subprocess.run(
        [packer, "version"],
        env={"CHECKPOINT_DISABLE": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    if not said.startswith("Packer v1.6."):
        pytest.skip(f"{packer} is {said.split(chr(10))[0]}: only Debian's 1.6 has a qemu builder")
    return packer


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        port: int = taken.getsockname()[1]
        return port


def _finish_installation(raw: Path, work: Path, password: str, port: int) -> None:
    """What Debian's installer does that ``tests/boot`` has not done: account, SSH, network."""
    preseed = (_HTTP / "debian/preseed.cfg").read_text()
    found = re.search(r"^d-i pkgsel/include string (.*)$", preseed, re.MULTILINE)
    assert found, "preseed.cfg names no packages"
    with disk.mounted(raw, work) as system:
        tree = Tree(root=system.root)
        (tree.root / "etc/resolv.conf").unlink(missing_ok=True)
        tree.write("etc/resolv.conf", Path("/etc/resolv.conf").read_text())
        tree.write("etc/hostname", "debian\n")
        tree.write("etc/hosts", _HOSTS)
        tree.write("etc/network/interfaces", _INTERFACES)
        tree.write("root/cmdline", f"asyncpipe.user={USER} asyncpipe.http=http://10.0.2.2:{port}\n")
        late = (_HTTP / "late.sh").read_text()
        tree.write("root/late.sh", late.replace("/proc/cmdline", "/root/cmdline"))
        packages = found[1].split()
        done = tree.run("sh", "-c", _INSTALLED, "installed", *packages, PASSWORD=password)
        assert done.returncode == 0, done.stdout[-4000:]


def _write_template(system: System, here: Path, installed: Path) -> None:
    """The project's folders, with its template as Packer 1.6.6 can read it."""
    shutil.copytree(REPO / "templates/common", here / "templates/common", symlinks=True)
    shutil.copytree(REPO / "provisioning", here / "provisioning")
    folder = here / TEMPLATE
    shutil.copytree(REPO / TEMPLATE, folder)  # the files that it shares, not their links
    for file in folder.glob("*.hcl"):
        file.write_text(readable(file.read_text()))
    template = folder / "template.pkr.hcl"
    template.write_text(started_from(installed, template.read_text(), here, system.version))


def readable(text: str) -> str:
    """Rewrite what Packer 1.6.6 does not know, from validations to UEFI."""
    text = re.sub(r"\n\n  validation \{\n.*?\n  \}\n", "\n", text, flags=re.DOTALL)
    text = re.sub(
        r'^local "(\w+)" \{\n\s*expression = (.*)\n\s*sensitive  = true\n\}',
        r"locals {\n  \1 = \2\n}",
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(r"^  (efi_\w+|disable_shutdown) +=.*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^packer \{\n.*?^\}\n", "", text, count=1, flags=re.MULTILINE | re.DOTALL)


def started_from(installed: Path, text: str, here: Path, version: str) -> str:
    """Start the template's machine from an installed disk, with a console and without KVM.

    This Packer ends a machine that it has no command to shut down: it waits for its end before.
    """
    gone = here / "qemu.pid"
    changes = {
        r"^  iso_url +=.*$": f'  iso_url = "{installed}"\n  disk_image = true',
        r"^  iso_checksum +=.*$": '  iso_checksum = "none"',
        r"^  boot_command +=.*$": '  boot_command = []\n  disk_cache = "unsafe"\n  qemuargs = ['
        f' ["-cpu", "max,la57=off"], ["-pidfile", "{gone}"],'
        f' ["-serial", "file:{here}/console.log"] ]',
        r'^  os_version = "12"$': f'  os_version = "{version}"',
        r"^  post-processor ": '  provisioner "shell-local" {\n'
        f'    inline  = ["while [ -e {gone} ]; do sleep 1; done"]\n'
        '    timeout = "10m"\n  }\n\n  post-processor ',
    }
    for pattern, change in changes.items():
        text, count = re.subn(pattern, change.replace("\\", "\\\\"), text, flags=re.MULTILINE)
        assert count == 1, pattern
    return text
