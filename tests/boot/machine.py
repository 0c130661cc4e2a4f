"""A clone in QEMU, in software (so minutes to start), seen by SSH, its leases and its console."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot.network import Network
from tests.templates.needs import program

# A start is bounded by what it computes: beside other work it may take long and be well.
BOOT_CPU_S = 1200
BOOT_TIMEOUT_S = 7200
# The niceness of QEMU, whatever the tests run at; root may give it more than other work has.
NICENESS = int(os.environ.get("ASYNCPIPE_TEST_BOOT_NICE", "10"))
PRIORITY = ("nice", "-n", str(NICENESS - os.nice(0)))
SSH_OPTIONS = (
    *("-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes", "-o", "ConnectTimeout=90"),
    *("-o", "ServerAliveInterval=60", "-o", "ServerAliveCountMax=10"),
)
_FIRMWARE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")


# What GRUB takes for an installer's CD: where it starts from this, the clone never comes up.
_INSTALLER = {".disk/info": "trap\n", "boot/grub/grub.cfg": "halt\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A configuration drive: NoCloud (``cidata``) or ConfigDrive (``config-2``)."""

    label: str
    files: dict[str, str]


def nocloud(host: str, key: str) -> Drive:
    """The drive that Xen Orchestra attaches."""
    user = (
        "#cloud-config\nusers:\n  - name: admin\n    sudo: ALL=(ALL) NOPASSWD:ALL\n"
        f"    shell: /bin/bash\n    ssh_authorized_keys: [{key}]\n"
    )
    meta = f"instance-id: {host}-1\nlocal-hostname: {host}\n"
    return Drive(label="cidata", files={"user-data": user, "meta-data": meta})


def config_drive(host: str, key: str) -> Drive:
    """The drive of OpenStack and of what speaks its language."""
    meta = {"uuid": f"{host}-1", "hostname": host, "public_keys": {"test": key}}
    user = nocloud(host, key).files["user-data"]
    latest = "openstack/latest/"
    return Drive(
        label="config-2",
        files={f"{latest}meta_data.json": json.dumps(meta), f"{latest}user_data": user},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A running clone; its account ``admin`` has the key."""

    network: Network
    process: subprocess.Popen[bytes]
    work: Path
    key: Path

    def ssh(self, script: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a shell script as ``admin``; stdout and stderr apart."""
        lease = self.network.lease()
        assert lease is not None, "the machine has no lease"
        known = self.work / "known_hosts"
        return subprocess.run(
            [
                *("ip", "netns", "exec", self.network.name, "ssh", "-i", str(self.key)),
                *SSH_OPTIONS,
                *("-o", f"UserKnownHostsFile={known}", f"admin@{lease[1]}"),
                'bash -c "$(cat)"',  # not from stdin, which sudo would read from
            ],
            check=False,
            input=script,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def wait_for_ssh(self) -> float:
        """Seconds until a login succeeded; fails with the console's end."""
        started = time.monotonic()
        while time.monotonic() - started < BOOT_TIMEOUT_S:
            assert self.process.poll() is None, f"QEMU ended\n{self.console()}"
            assert self.cpu_s() < BOOT_CPU_S, f"no login in {BOOT_CPU_S} s of CPU\n{self.console()}"
            if self.network.lease() is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    if self.ssh("true", timeout_s=300).returncode == 0:
                        return time.monotonic() - started
            time.sleep(10)
        raise AssertionError(f"no login in {BOOT_TIMEOUT_S} s\n{self.console()}")

    def cpu_s(self) -> float:
        """Seconds of processor time that it took so far, ended children included."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")

    def console(self) -> str:
        return (self.work / "console.log").read_bytes()[-4000:].decode(errors="replace")

    def power_down(self) -> None:
        """Press the power button, if it has one, and wait until the machine is off."""
        if (self.work / "qmp").exists():
            _qmp(self.work / "qmp", "system_powerdown")
        else:
            self.ssh("sudo systemctl --no-block poweroff")
        self.process.wait(1800)


def make_key(work: Path) -> tuple[Path, str]:
    key = work / "key"
    if not key.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(key)]
        subprocess.run(command, check=True, timeout=60)
    return key, key.with_suffix(".pub").read_text().strip()


@contextlib.contextmanager
def started(
    disk: Path,
    network: Network,
    work: Path,
    key: Path,
    *,
    firmware: str,
    drive: Drive | None,
    slot: int = 3,
    mac: str = "52:54:00:12:34:56",
) -> Iterator[Machine]:
    """Start a clone's disk; ``slot`` is the PCI slot that the interface's name comes from."""
    qemu = program("qemu-system-x86_64", "qemu-system-x86", install=True)
    console = work / "console.log"
    arguments = [
        *("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "1"),
        # GRUB calls the BIOS of a graphics card, which each VM of XCP-ng has.
        *("-m", "1536", "-display", "none", "-nodefaults", "-device", "VGA,addr=16"),
        *("-device", "virtio-rng-pci,addr=17"),
        *("-serial", f"file:{console}", "-qmp", f"unix:{work / 'qmp'},server=on,wait=off"),
        *("-drive", f"file={disk},if=virtio,format=raw,cache=unsafe,discard=unmap"),
        *("-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net,mac={mac},addr={slot}"),
        *_firmware(firmware, work),
    ]
    if drive is not None:
        arguments += [
            "-drive",
            f"file={drive_image(drive, work)},media=cdrom,readonly=on,format=raw",
        ]
    (work / "qmp").unlink(missing_ok=True)
    command = ["ip", "netns", "exec", network.name, *PRIORITY, qemu, *arguments]
    with (work / "qemu.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    machine = Machine(network=network, process=process, work=work, key=key)
    try:
        yield machine
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)


def _firmware(name: str, work: Path) -> Sequence[str]:
    if name == "bios":
        return ()
    code, variables = _FIRMWARE
    if not Path(code).exists():
        pytest.skip(f"{code} is missing: apt install ovmf")
    # A fresh store each time: nothing tells the firmware where the loader is.
    fresh = work / "variables.fd"
    shutil.copy(variables, fresh)
    return (
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,file={fresh}"),
    )


def drive_image(drive: Drive, work: Path) -> Path:
    """An ISO 9660 image of a configuration drive, which also looks like an installer's."""
    xorriso = program("xorriso", "xorriso", install=True)
    folder = work / "drive"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in (drive.files | _INSTALLER).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    image = work / "drive.iso"
    command = [xorriso, "-as", "mkisofs", "-quiet", "-J", "-r", "-V", drive.label, "-o"]
    subprocess.run([*command, str(image), str(folder)], check=True, capture_output=True, timeout=60)
    return image


def _qmp(path: Path, command: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        stream = client.makefile("rw")
        stream.readline()
        for name in ("qmp_capabilities", command):
            stream.write(json.dumps({"execute": name}) + "\n")
            stream.flush()
            stream.readline()
