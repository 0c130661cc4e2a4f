"""Real systems, from debootstrap to a boot test of what was pulled, and six that are broken.

The chain: debootstrap with kernel and GRUB, a build in which Packer provisions that disk over SSH
in QEMU, an XVA, its publication, what is pulled. The broken ones start from disks that were
provisioned without a machine (``tests/boot``).
Without KVM a start takes minutes; the broken images that never come up are quicker.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.boot import disk, packed
from tests.boot.real import asyncpipe, well, work_folder, xva_of

pytestmark = [pytest.mark.heavy("boot-test"), pytest.mark.timeout(14400)]

SYSTEMS = {
    "debian12": packed.System(version="12", suite="bookworm", profile="baseline"),
    "debian13": packed.System(version="13", suite="trixie", profile="strict"),
}
COMPRESSED = ("debian13", "uefi")  # the one that is published with zstd
NETWORK_UNITS = (
    *("networking.service", "ifup@.service", "systemd-networkd-wait-online.service"),
    *("systemd-networkd.service", "systemd-networkd.socket", "NetworkManager.service"),
)
MACHINE_ID = "5f0c1d9e8b7a46352413021f0e9d8c7b"
RUN_INIT = "rdinit=/bin/false"


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    with work_folder() as folder:
        yield folder


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("system", list(SYSTEMS))
def test_what_is_pulled_comes_up_as_a_clone(system: str, firmware: str, work: Path) -> None:
    folder = work / f"{system}-{firmware}"
    folder.mkdir()
    raw = folder / f"{system}.raw"
    disk.copy(packed.packed_disk(SYSTEMS[system], folder), raw)
    xva = xva_of(folder, raw, firmware)
    raw.unlink()
    well(folder, "verify", str(xva))
    compressed = (system, firmware) == COMPRESSED
    well(folder, "publish", str(xva), "--compress", "zstd" if compressed else "none")
    well(folder, "pull", system, "-o", "pulled.xva")
    # one by its name: the compressed version as the store has it
    well(folder, "boot-test", system if compressed else "pulled.xva")
    assert not (folder / ".asyncpipe/boot-tests").exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """What is wrong with an image, and what the test has to say of it."""

    harm: Callable[[Path, Path], None]
    reason: str
    words: str


def _at_root(change: Callable[[Path], None]) -> Callable[[Path, Path], None]:
    def harm(raw: Path, work: Path) -> None:
        with disk.mounted(raw, work) as system:
            change(system.root)

    return harm


def _no_loader(raw: Path, _: Path) -> None:
    with raw.open("r+b") as file:
        file.write(bytes(446))


def _in_grub(pattern: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        config = root / "boot/grub/grub.cfg"
        script = ["sed", "-i", "-E", pattern, str(config)]
        before = config.read_text()
        subprocess.run(script, check=True, timeout=60)
        assert config.read_text() != before

    return change


def _no_dhcp(root: Path) -> None:
    """Take away whatever brings an interface up: ifupdown, networkd, their DHCP clients."""
    for unit in NETWORK_UNITS:
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for client in [*root.glob("usr/sbin/dhclient"), *root.glob("usr/sbin/dhcpcd")]:
        client.unlink()


def _kept_id(root: Path) -> None:
    (root / "etc/machine-id").write_text(f"{MACHINE_ID}\n")


def _cloud_init_off(root: Path) -> None:
    (root / "etc/cloud/cloud-init.disabled").touch()


BROKEN = {
    "no-loader": Broken(harm=_no_loader, reason="no-boot-loader", words="boot loader"),
    "wrong-root": Broken(
        harm=_at_root(_in_grub(r"s/root=UUID=[0-9a-f-]+/root=UUID=0000dead-0000-4000-8000-0000/")),
        reason="root-missing",
        words="UUID=0000dead-0000-4000-8000-0000",
    ),
    "panic": Broken(
        harm=_at_root(_in_grub(rf"s!(root=UUID=[0-9a-f-]+)!\1 {RUN_INIT}!")),
        reason="kernel-panic",
        words="Attempted to kill init",
    ),
    "no-network": Broken(harm=_at_root(_no_dhcp), reason="no-network", words="SSH port"),
    "kept-id": Broken(
        harm=_at_root(_kept_id), reason="checks", words=f"machine-id: {MACHINE_ID} is in the image"
    ),
    "cloud-init-off": Broken(
        harm=_at_root(_cloud_init_off), reason="cloud-init-off", words="cloud-init"
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_image_is_refused_with_its_reason(name: str, work: Path) -> None:
    folder = work / name
    folder.mkdir()
    raw = folder / f"{name}.raw"
    disk.copy(disk.provisioned_disk("bookworm", "baseline", folder), raw)
    BROKEN[name].harm(raw, folder)
    xva = xva_of(folder, raw)
    raw.unlink()
    done = asyncpipe(folder, "boot-test", str(xva), "--json", "--boot-timeout", "20m")
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 33
    assert document["reason"] == BROKEN[name].reason, document
    assert BROKEN[name].words in document["says"]
    assert (Path(document["log"]).parent / "screenshot.png").read_bytes().startswith(b"\x89PNG")
