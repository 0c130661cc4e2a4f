"""Copies of the demo template that differ in system, VM name and fate."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_DEMO = Path(__file__).resolve().parents[2] / "templates/demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One copy of the demo; its name is its folder's and its VM's, and stands in its output."""

    system: str
    version: str
    seconds: int = 1
    size_mib: int = 8
    fails: bool = False

    @property
    def name(self) -> str:
        return f"{self.system}-{self.version.replace('.', '-')}"

    @property
    def short_id(self) -> str:
        return self.system + self.version


GOOD = (
    Copy(system="debian", version="11"),
    Copy(system="debian", version="12"),
    Copy(system="ubuntu", version="22.04"),
    Copy(system="rocky", version="9"),
    Copy(system="almalinux", version="9"),
)
FAILING = (
    Copy(system="debian", version="13", fails=True),
    Copy(system="rocky", version="8", fails=True),
)
SLOW = Copy(system="ubuntu", version="24.04", seconds=600)
EIGHT = (SLOW, *GOOD[:3], *FAILING, *GOOD[3:])


def write(folder: Path, copies: Sequence[Copy]) -> None:
    """Write the copies into ``folder``, one folder each."""
    for copy in copies:
        place = folder / copy.name
        shutil.copytree(_DEMO, place)
        for name, changed in _CHANGES.items():
            file = place / name
            file.write_text(changed(file.read_text("utf-8"), copy), encoding="utf-8")
        lines = (f'PRETTY_NAME="{copy.name}"', f"ID={copy.system}", f'VERSION_ID="{copy.version}"')
        (place / "os-release").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _template(text: str, copy: Copy) -> str:
    changes = {
        r'(os_name +=) "debian"': rf'\1 "{copy.system}"',
        r'(os_version +=) "12"': rf'\1 "{copy.version}"',
        r'(iso_name +=) ".*"': rf'\1 "{copy.name}.iso"',
        r'(vm_name +=) "demo"': rf'\1 "{copy.name}"',
        r"(default +=) 48": rf"\1 {copy.size_mib}",
        r"(default +=) 3\b": rf"\1 {copy.seconds}",
        r'(variant +=) "demo"': r'\1 ""',
        r"(production +=) false": r"\1 true",
        r"(default +=) false": rf"\1 {str(copy.fails).lower()}",
    }
    for pattern, new in changes.items():
        text, count = re.subn(pattern, new, text)
        assert count == 1, pattern
    return text


def _installer(text: str, copy: Copy) -> str:
    return _replaced(text, "Setting up $package ...", f"Setting up $package for {copy.name} ...")


def _evidence(text: str, copy: Copy) -> str:
    own = f"say 'debian-version {copy.version}.1'\n" if copy.system == "debian" else ""
    return _replaced(text, "say 'debian-version 12.11'\n", own)


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new)


_CHANGES = {"demo.pkr.hcl": _template, "install.sh": _installer, "evidence.sh": _evidence}
