"""What QEMU is started with: pure, from the image and what this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.model.boot.machine import MachineSpec

QMP_NAME: Final = "qmp"  # the control socket, in the machine's folder
VARIABLES_NAME: Final = "variables.fd"
SERIAL_PORT_NAME: Final = "serial-port"
SERIAL_PORT: Final = b"\xf8\x03"  # SeaBIOS, etc/sercon-port: 0x3f8, little-endian
# The guest is not trusted: what QEMU itself does not need is closed to it (seccomp).
_SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """Files of OVMF: the code, and the empty store of variables that each machine copies."""

    code: Path
    variables: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this machine has."""

    qemu: str
    kvm: bool
    firmware: Firmware | None = None


def arguments(spec: MachineSpec, host: Host) -> tuple[str, ...]:
    """Return QEMU's command line; names without a folder are in the machine's.

    Disks are virtio, whose driver the kernels of Debian, Ubuntu and the RHEL family have; what the
    guest writes goes to files that QEMU makes and unlinks (``snapshot=on``). The network is QEMU's
    own: it answers DHCP and leads nowhere (``restrict=on``), but the SSH port leads to a port of
    127.0.0.1 that the kernel chooses.
    """
    return (
        *(host.qemu, "-name", "asyncpipe-boot-test", "-sandbox", _SANDBOX),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35", *_accelerated(host)),
        *("-m", str(spec.image.memory_mib), "-smp", str(spec.image.vcpus)),
        *("-qmp", f"unix:{QMP_NAME},server=on,wait=off"),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *("-vga", "std", "-device", "virtio-rng-pci"),
        # panicked or switched off, the machine stays, so that its screen can be seen
        *("-device", "pvpanic", "-action", "panic=none,shutdown=pause"),
        *_firmware(spec, host),
        *_drives(spec),
        *("-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
    )


def _accelerated(host: Host) -> tuple[str, ...]:
    if host.kvm:
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "max,la57=off")


def _firmware(spec: MachineSpec, host: Host) -> tuple[str, ...]:
    if spec.image.firmware != "uefi":
        # what BIOS and boot loader write to the screen, they write to the console too
        return ("-fw_cfg", f"name=etc/sercon-port,file={SERIAL_PORT_NAME}")
    assert host.firmware is not None
    code = _escaped(host.firmware.code)
    return (
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,file={VARIABLES_NAME}"),
    )


def _drives(spec: MachineSpec) -> tuple[str, ...]:
    seed = f"file={_escaped(spec.seed)},format=raw,media=cdrom,readonly=on"
    disks = [word for number in range(len(spec.image.disks)) for word in _disk(spec, number)]
    # strict: nothing but the boot disk is tried, no network either
    return (*disks, "-drive", seed, "-boot", "strict=on")


def _disk(spec: MachineSpec, number: int) -> tuple[str, ...]:
    file = f"file={_escaped(spec.image.disks[number])},format=raw,cache=unsafe,discard=unmap"
    boots = "" if number else ",bootindex=1"
    return (
        *("-drive", f"{file},if=none,id=disk{number},snapshot=on"),
        *("-device", f"virtio-blk-pci,drive=disk{number}{boots}"),
    )


def _escaped(path: Path) -> str:
    """QEMU's options are separated by commas; two are one of a value's own."""
    return str(path).replace(",", ",,")
