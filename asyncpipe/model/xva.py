"""What one pass over an XVA found: the verdict, the findings behind it, and the VM inside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_TEXT_CHARS: Final = 200  # of any text that came out of the file
MAX_LISTED: Final = 64  # disks, networks and findings that a document names


class Verdict(StrEnum):
    """What to do with the file; a warning still imports."""

    ACCEPT = "accept"
    WARN = "warn"
    REJECT = "reject"


class Severity(StrEnum):
    """How a finding counts towards the verdict."""

    WARN = "warn"
    REJECT = "reject"


class Compression(StrEnum):
    """How the whole archive is wrapped."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class ChunkChecksum(StrEnum):
    """Which algorithm guards the chunks; ``MIXED`` is legal but odd."""

    XXH64 = "xxh64"
    SHA1 = "sha1"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule of ``docs/xva.md`` says about the file.

    ``offset_bytes`` counts in the file, or in the decompressed tar when ``unpacked`` is set.
    """

    code: str
    severity: Severity
    offset_bytes: int
    member: str  # tar member at fault, escaped and bounded; "" = none
    message: str
    unpacked: bool = False

    def __str__(self) -> str:
        where = f" in {self.member}" if self.member else ""
        space = " of the decompressed archive" if self.unpacked else ""
        return f"{self.code}: {self.message} (byte {self.offset_bytes:,}{space}{where})"


@dataclass(frozen=True, slots=True, kw_only=True)
class XvaDisk:
    """One disk that the XVA carries (or should)."""

    name: str
    reference: str  # the folder of its chunks: "Ref:20"
    virtual_size_bytes: int
    stored_bytes: int = 0  # of its chunks, all-zero ones included
    data_bytes: int = 0  # of its chunks that are not all zero
    chunks: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class XvaReport:
    """The verdict on one XVA and what it says about itself; None = not stated or not reached."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    size_bytes: int = 0  # of the file as it is, compressed or not
    unpacked_bytes: int = 0  # of the tar inside, as far as it was read
    compression: Compression | None = None
    vm_name: str | None = None
    vm_description: str | None = None
    vcpus: int | None = None
    memory_bytes: int | None = None
    firmware: str | None = None  # "bios", "uefi"; old exports do not say
    disks: tuple[XvaDisk, ...] = ()
    networks: tuple[str, ...] = ()
    loaded_drives: tuple[str, ...] = ()  # names of the images in CD drives, which it lacks
    product_brand: str | None = None
    product_version: str | None = None
    xapi_version: str | None = None  # "1.20": a host with a lower one refuses the import
    checksum: ChunkChecksum | None = None
    chunks_verified: int = 0

    @property
    def accepted(self) -> bool:
        """Whether the file may be published; warnings do not forbid it."""
        return self.verdict is not Verdict.REJECT

    @property
    def rejection(self) -> Finding | None:
        """The finding that rejected the file."""
        return next((f for f in self.findings if f.severity is Severity.REJECT), None)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings to show although the file is accepted."""
        return tuple(f for f in self.findings if f.severity is Severity.WARN)

    @property
    def zero_share(self) -> float | None:
        """The part of all disks that reads as zeroes, 0.0 to 1.0; None without disks."""
        virtual_bytes = sum(disk.virtual_size_bytes for disk in self.disks)
        if not virtual_bytes:
            return None
        data_bytes = sum(disk.data_bytes for disk in self.disks)
        return max(0.0, 1.0 - data_bytes / virtual_bytes)


def report_to_dict(report: XvaReport) -> dict[str, object]:
    """Return what metadata.json keeps of the report: bounded, JSON-able, never the raw ova.xml."""
    share = report.zero_share
    return {
        "verdict": report.verdict.value,
        "findings": [_finding(finding) for finding in report.findings[:MAX_LISTED]],
        "size_bytes": report.size_bytes,
        "unpacked_bytes": report.unpacked_bytes,
        "compression": report.compression.value if report.compression else None,
        "checksum": report.checksum.value if report.checksum else None,
        "chunks_verified": report.chunks_verified,
        "zero_share": None if share is None else round(share, 4),
        "vm": {
            "name": report.vm_name,
            "description": report.vm_description,
            "vcpus": report.vcpus,
            "memory_bytes": report.memory_bytes,
            "firmware": report.firmware,
        },
        "disk_count": len(report.disks),
        "disks": [_disk(disk) for disk in report.disks[:MAX_LISTED]],
        "networks": list(report.networks[:MAX_LISTED]),
        "product_brand": report.product_brand,
        "product_version": report.product_version,
        "xapi_version": report.xapi_version,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "offset_bytes": finding.offset_bytes,
        "unpacked": finding.unpacked,
        "member": finding.member,
        "message": finding.message,
    }


def _disk(disk: XvaDisk) -> dict[str, object]:
    return {
        "name": disk.name,
        "virtual_size_bytes": disk.virtual_size_bytes,
        "stored_bytes": disk.stored_bytes,
        "data_bytes": disk.data_bytes,
        "chunks": disk.chunks,
        "complete": disk.complete,
    }
