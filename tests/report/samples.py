"""Outcomes and events as a run makes them, for the tests of this area and of GitHub's."""

from __future__ import annotations

from asyncpipe.model.build import Phase, PhaseSpan
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.publication import Failed, Publication, Published
from asyncpipe.model.store import ObjectInfo
from asyncpipe.model.transfer import FileDigests, PublishedObject
from asyncpipe.report.run_info import RunInfo

DEBIAN = OsIdentity(
    os_type="debian", os_version="12", release="12.11.0", arch="x86_64", confidence=1.0
)
SHA256 = "0123456789abcdef" * 4

RUN = RunInfo(
    run_id="20261123T170000Z-ab12",
    destination="s3://images/golden/",
    started_utc="2026-11-23T17:00:00.000Z",
    ended_utc="2026-11-23T17:10:00.000Z",
    duration_s=600.0,
    exit_code=4,
)


def stored(name: str, size_bytes: int, base: str = "s3://images/golden/") -> PublishedObject:
    key = f"templates/debian12/20261123T170000Z/{name}"
    digests = FileDigests(size_bytes=size_bytes, sha256_hex=SHA256, crc64nvme_base64="AAAAAAAAAAA=")
    info = ObjectInfo(key=key, size_bytes=size_bytes)
    return PublishedObject(
        key=key, url=base + key, digests=digests, info=info, checks=("size",), part_count=3
    )


def published(
    unit: str = "debian-12",
    *,
    base: str = "s3://images/golden/",
    metadata: dict[str, object] | None = None,
    previous: dict[str, object] | None = None,
    warnings: tuple[str, ...] = (),
) -> Published:
    folder = "templates/debian12/20261123T170000Z"
    return Published(
        unit=unit,
        template_path=f"templates/{unit}",
        identity=DEBIAN,
        publication=Publication(
            folder_key=folder,
            folder_url=f"{base}{folder}/",
            xva=stored("debian12.xva", 1_500_000_000, base),
            metadata=stored("metadata.json", 4000, base),
            log=stored("build.log", 90_000, base),
            previous_metadata=previous,
        ),
        metadata=metadata or {},
        duration_s=312.5,
        phases=(
            span(Phase.BOOT, "17:00:00", 60.0),
            span(Phase.PROVISION, "17:01:00", 180.0),
            span(Phase.EXPORT, "17:04:00", 70.0),
        ),
        warnings=warnings,
    )


def span(phase: Phase, clock: str, duration_s: float) -> PhaseSpan:
    return PhaseSpan(phase=phase, started_utc=f"2026-11-23T{clock}.000Z", duration_s=duration_s)


def failed(
    unit: str = "rocky-9",
    *,
    error: str = "Packer ended with an error.",
    exit_code: int = 20,
    cause_lines: tuple[str, ...] = ("Script exited with non-zero exit status: 7",),
    file: str = "",
    line: int | None = None,
    log_tail: tuple[str, ...] = (),
    remains: tuple[str, ...] = (),
) -> Failed:
    return Failed(
        unit=unit,
        template_path=f"templates/{unit}",
        error=error,
        hint="Look at the lines above the error.",
        exit_code=exit_code,
        cause_lines=cause_lines,
        error_file=file,
        error_line=line,
        log_path=f"runs/r1/{unit}/build.log",
        log_url=f"s3://images/golden/failed/{unit}/20261123T170000Z/build.log",
        log_tail=log_tail,
        remains=remains,
        duration_s=42.0,
        phases=(span(Phase.PROVISION, "17:00:00", 42.0),),
    )
