"""What a boot test in QEMU needs of this machine, found before anything is built."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

from asyncpipe.boot.extra import require_extra
from asyncpipe.boot.qemu.arguments import Firmware, Host
from asyncpipe.errors import BootTestNotRunError, UsageError

_QEMU: Final = "qemu-system-x86_64"
# Debian and Ubuntu; Fedora and RHEL; Debian 11
_FIRMWARE: Final = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
)
_VIRTUALIZES: Final = re.compile(r"^flags\s*:.*\b(?:vmx|svm)\b", re.MULTILINE)


def find_host(*, firmware: str | None = None, path: str | None = None) -> Host:
    """Look for QEMU, its firmware and the extra's packages.

    ``firmware`` is what the image needs, None where that is not known yet: then a missing OVMF is
    no error. ``path`` is the PATH to look in.

    Raises:
        UsageError: something is missing; the hint names the packages.
    """
    require_extra("qemu.qmp", "asyncssh", "pycdlib")
    qemu = shutil.which(_QEMU, path=path)
    if qemu is None:
        raise UsageError(
            f"A boot test needs {_QEMU}, which is not installed.",
            hint="Debian, Ubuntu: apt install qemu-system-x86 ovmf; Red Hat: dnf install qemu-kvm"
            " edk2-ovmf.",
        )
    found = _firmware()
    if firmware == "uefi" and found is None:
        raise BootTestNotRunError(
            "The image starts by UEFI, and OVMF is not installed.",
            hint="Debian, Ubuntu: apt install ovmf; Red Hat: dnf install edk2-ovmf.",
        )
    return Host(qemu=qemu, kvm=_has_kvm(), firmware=found)


def _firmware() -> Firmware | None:
    for code, variables in _FIRMWARE:
        if Path(code).is_file() and Path(variables).is_file():
            return Firmware(code=Path(code), variables=Path(variables))
    return None


def _has_kvm() -> bool:
    """A /dev/kvm on a processor that does not virtualize is emulated, and slower than TCG."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and _VIRTUALIZES.search(flags) is not None
