"""Plans, facts and files to make metadata from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from asyncpipe import metadata
from asyncpipe.model import store_keys
from asyncpipe.model.build import BuildExit, BuildPlan, BuiltFrom, Phase, PhaseSpan
from asyncpipe.model.identity import Conflict, Evidence, GuestFacts, OsIdentity, Package, Weight
from asyncpipe.model.log import SealedLog
from asyncpipe.model.run import CiFacts, FileEntry, RunFacts
from asyncpipe.model.store import crc64nvme_base64
from asyncpipe.model.template import UNKNOWN, Location, Template, TemplateSource, Value, Variable
from asyncpipe.model.transfer import FileDigests

HERE = Location(file="templates/debian/12/debian.pkr.hcl", line=3)
DEBIAN = OsIdentity(
    os_type="debian",
    os_version="12",
    release="12.11",
    codename="bookworm",
    arch="x86_64",
    pretty_name="Debian GNU/Linux 12 (bookworm)",
    confidence=1.0,
    end_of_life="2028-06-30",
    evidence=(
        Evidence(
            weight=Weight.GUEST,
            kind="os-release",
            text='PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"',
            origin="build.log",
            os_type="debian",
            os_version="12",
        ),
    ),
    conflicts=(
        Conflict(
            field="release",
            chosen="12.11",
            other="12.8",
            chosen_origin="build.log",
            other_origin="debian.pkr.hcl:9",
            series=False,
        ),
    ),
)
GUEST = GuestFacts(
    marked=True,
    complete=True,
    kernel="6.1.0-37-amd64",
    arch="x86_64",
    hardening_profile="baseline",
    agent="xe-guest-utilities 8.4.0",
    packages=(
        Package(name="bash", version="5.2.15-2+b8", arch="amd64"),
        Package(name="libc6", version="2.36-9+deb12u10", arch="amd64"),
    ),
)
FACTS = RunFacts(
    tool_version="0.1.0",
    run_id="r1",
    git_commit="0123456789abcdef0123456789abcdef01234567",
    git_dirty=False,
    git_remote="https://github.com/example/templates",
    ci=CiFacts(provider="github", run_url="https://github.com/example/templates/actions/runs/1"),
)


def variable(name: str, value: Value, *, sensitive: bool = False) -> Variable:
    return Variable(
        name=name,
        value=value,
        sensitive=sensitive,
        is_set=True,
        origin="default",
        location=HERE,
    )


def template(*variables: Variable, **attributes: Value) -> Template:
    source = TemplateSource(
        type="xenserver-iso",
        label="debian",
        build_name=None,
        attributes={
            "iso_url": "https://user:hunter2@mirror.example/debian-12.11.0-amd64-netinst.iso",
            "iso_checksum": "sha256:abc",
            **attributes,
        },
        locations={},
        location=HERE,
    )
    return Template(
        path=Path("templates/debian/12"),
        folder=Path("templates/debian/12"),
        kind="hcl2",
        files=(Path(HERE.file),),
        sha256_hex="ab" * 32,
        variables={item.name: item for item in variables},
        sources=(source,),
    )


def plan(of: Template | None = None, *, timestamp: str = "20261123T170000Z") -> BuildPlan:
    return BuildPlan(
        unit="debian-12",
        template=of or template(variable("disk", 1024), variable("later", UNKNOWN)),
        packer_path=Path("/usr/bin/packer"),
        packer_version="1.11.2",
        packer_arguments=(),
        packer_environment={},
        working_directory=Path("/srv/repository"),
        run_directory=Path("/srv/run"),
        output_directory=Path("/srv/run/output"),
        timestamp=timestamp,
        static_identity=OsIdentity(),
    )


def build_exit(*errors: str) -> BuildExit:
    return BuildExit(
        return_code=1 if errors else 0,
        started_utc="2026-11-23T17:00:00.000Z",
        ended_utc="2026-11-23T17:10:00.500Z",
        duration_s=600.5,
        phases=(
            PhaseSpan(phase=Phase.BOOT, started_utc="2026-11-23T17:01:00.000Z", duration_s=1.23456),
        ),
        errors=errors,
        plugin_versions={"github.com/vatesfr/xenserver": "0.11.4"},
    )


def sealed(lines: int = 7) -> SealedLog:
    return SealedLog(
        path=Path("/srv/run/build.log"),
        size_bytes=100,
        sha256_hex="cd" * 32,
        line_count=lines,
        redaction_count=2,
    )


def file_entry(key: str, body: bytes) -> FileEntry:
    digests = FileDigests(
        size_bytes=len(body),
        sha256_hex=hashlib.sha256(body).hexdigest(),
        crc64nvme_base64=crc64nvme_base64(1),
    )
    return FileEntry(key=key, digests=digests)


def draft(of: Template | None = None, **changes: object) -> metadata.Document:
    facts: dict[str, object] = {
        "plan": plan(of),
        "build_exit": build_exit(),
        "identity": DEBIAN,
        "guest": GUEST,
        "facts": FACTS,
    }
    return metadata.draft(**{**facts, **changes})  # type: ignore[arg-type]  # a test names what differs


def published(
    *,
    short_id: str = "debian12",
    timestamp: str = "20261123T170000Z",
    body: bytes = b"xva",
    signature: tuple[str, str] | None = None,
    built_from: BuiltFrom | None = None,
) -> metadata.Document:
    folder = store_keys.folder_key(short_id, timestamp)
    version = short_id.removeprefix("debian")
    return metadata.complete(
        draft(
            plan=replace(plan(timestamp=timestamp), built_from=built_from or BuiltFrom()),
            identity=replace(DEBIAN, os_version=version or None),
        ),
        xva=file_entry(store_keys.xva_key(short_id, timestamp), body),
        log=file_entry(f"{folder}/{store_keys.LOG_NAME}", b"log"),
        sealed=sealed(),
        xva_report={"valid": True, "disks": [{"virtual_size_bytes": 1}]},
        checks=("size", "crc64nvme"),
        signature=signature,
    )
