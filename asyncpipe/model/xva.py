"""What one pass over an XVA found: the verdict, the findings behind it, and the VM inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from asyncpipe.model.transfer import Compressed

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


COMPRESSED: Final = frozenset({Compression.GZIP, Compression.ZSTD})
ANY_COMPRESSION: Final = frozenset(Compression)


@dataclass(frozen=True, slots=True, kw_only=True)
class Importers:
    """The first versions that import a compression: of xapi, of XCP-ng, of XenServer."""

    xapi: str
    xcp_ng: str
    xenserver: str


# docs/xva.md: gzip is older than every host alive; zstd came with xapi 1.166.0, and XCP-ng had it
# before. XenServer was called Citrix Hypervisor then.
IMPORTERS: Final = {
    Compression.ZSTD: Importers(xapi="1.166.0", xcp_ng="7.6", xenserver="8.1"),
}


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
    content_sha256_hex: str | None = None  # of the tar inside; None: not asked for, or rejected

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
        virtual_bytes = self.virtual_size_bytes
        return max(0.0, 1.0 - self.used_bytes / virtual_bytes) if virtual_bytes else None

    @property
    def virtual_size_bytes(self) -> int:
        """Of all disks together."""
        return sum(disk.virtual_size_bytes for disk in self.disks)

    @property
    def used_bytes(self) -> int:
        """Of all disks, in chunks that are not all zero."""
        return sum(disk.data_bytes for disk in self.disks)

    def as_stored(self, compressed: Compressed, size_bytes: int) -> XvaReport:
        """The same report for the file of ``size_bytes`` that was made by compressing it."""
        return replace(
            self,
            size_bytes=size_bytes,
            compression=Compression(compressed.format),
            content_sha256_hex=compressed.plain_sha256_hex or None,
        )


def compressed_before(report: XvaReport | None) -> Compressed | None:
    """How a file is compressed that came so; None where it is not, or was not digested."""
    if report is None or report.compression not in COMPRESSED or report.content_sha256_hex is None:
        return None
    return Compressed(
        format=str(report.compression),
        plain_size_bytes=report.unpacked_bytes,
        plain_sha256_hex=report.content_sha256_hex,
    )


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
        "content_sha256_hex": report.content_sha256_hex,
        "virtual_size_bytes": report.virtual_size_bytes,
        "used_bytes": report.used_bytes,
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
