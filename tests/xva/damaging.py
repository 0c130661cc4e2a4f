"""A good XVA, and the ways to damage it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.xva.samples import (
    END,
    MIB,
    Disk,
    Member,
    description,
    digest,
    disk,
    members_of,
    pack,
    value,
)

HTTP = (
    b"HTTP/1.1 500 Internal Error\r\ncontent-length: 300\r\n\r\n<html><body>"
    b"SR_BACKEND_FAILURE_46: [ ; The VDI is not available ]</body></html>"
)
A = disk("Ref:10", 3 * MIB + 512 * 1024, {2}, seed=1)  # chunks 0, 2 and the short 3
B = disk("Ref:9", 1536 * 1024, seed=2)
DISKS = [A, B]
MEMBERS = members_of(DISKS)
GOOD = pack(MEMBERS)
NAMES = [member.name for member in MEMBERS]


@dataclass(frozen=True)
class Damage:
    """One damaged file; ``kind`` groups variants of the same defect."""

    kind: str
    code: str
    data: bytes
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.kind}{self.variant and '-'}{self.variant}"


def at(name: str) -> int:
    return NAMES.index(name)


def changed(index: int, **fields: Any) -> list[Member]:
    return [replace(m, **fields) if i == index else m for i, m in enumerate(MEMBERS)]


def without(*names: str) -> list[Member]:
    return [m for m in MEMBERS if m.name not in names]


def inserted(index: int, *extra: Member) -> list[Member]:
    return [*MEMBERS[:index], *extra, *MEMBERS[index:]]


def pair(name: str, data: bytes, kind: str = "xxhash") -> list[Member]:
    return [Member(name, data), Member(f"{name}.{kind}", digest(kind, data))]


def with_bytes(offset: int, new: bytes, data: bytes = GOOD) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def xml(change: Callable[[dict[str, Any]], None], disks: list[Disk] = DISKS) -> bytes:
    told: dict[str, Any] = description(disks)
    change(told)
    return pack(members_of(disks, value(told).encode()))


def ova(text: bytes) -> bytes:
    return pack(members_of(DISKS, text))


OVA = MEMBERS[0].data
FIRST = "Ref:10/00000000"
SECOND = "Ref:10/00000002"
LAST = "Ref:10/00000003"
OTHER = "Ref:9/00000000"
END_OF_DATA = len(GOOD) - 1024
assert bytes(1024) == END
