"""What a run has done so far, as ``run.json`` keeps it: every state a template can be in.

Format 1. Documents come from a disk that jobs can write to: a key, a path or a number in them is
a claim, checked again by whoever acts on it. Fields that are unknown are ignored, so that a newer
asyncpipe may add some.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

SCHEMA_VERSION: Final = 1


class UnitState(StrEnum):
    """How far one template has come."""

    PLANNED = "planned"  # its turn has not come
    BUILDING = "building"  # Packer runs, or ran when the process was killed
    BUILT = "built"  # the XVA is on disk and worth keeping: --resume publishes it
    PUBLISHED = "published"
    FAILED = "failed"
    CANCELLED = "cancelled"


class UnitRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One template of a run."""

    state: UnitState
    template: str = ""  # its path: --resume reads it again
    run_directory: str = ""
    output_directory: str = ""
    folder_key: str = ""  # where it publishes
    claimed_key: str = ""  # the folder that it claimed before the build
    instance_uuids: tuple[str, ...] = ()  # VMs that Packer created
    vdis: tuple[str, ...] = ()  # disks and images at the host: uuids, or references of XAPI
    disk_names: tuple[str, ...] = ()  # of disks that were begun
    creating: bool = False  # a VM may exist although its uuid is not known
    host: str = ""  # where it builds; private, as the whole file is
    clean_up: str = ""  # a CleanUp, once Packer has ended
    keep_until_utc: str = ""  # a person wants to look at the VM until then
    remains: tuple[str, ...] = ()  # sentences about what stays at the host
    exit_code: int | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All of ``run.json``; ``units`` by name, in the order in which they were planned."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    timestamp: str  # part of every key the run publishes
    destination: str
    variant: str | None = None  # --variant: the run's later parts are published beside the first
    expires_s: float | None = None  # --expires
    boot_test: str = "off"  # --boot-test: a resumed run publishes nothing untested
    units: dict[str, UnitRecord] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """A run as the ``run.json`` in its folder has it."""

    folder: Path
    record: RunRecord = field(repr=False)
    unreadable: Mapping[str, str] = field(default_factory=dict)  # units, and what is wrong


def encode(record: RunRecord) -> bytes:
    """Return the form on disk."""
    return as_json(msgspec.to_builtins(record))


def as_json(document: object) -> bytes:
    """Write JSON in ASCII: paths need not be UTF-8, and msgspec's own writer refuses those."""
    return json.dumps(document, indent=1).encode("ascii") + b"\n"


def decode(body: bytes) -> tuple[RunRecord, Mapping[str, str]]:
    """Read a record, and why a unit of it cannot be read, by name; the others are there.

    Raises:
        ValueError: it is not JSON, not a record, or of another version.
    """
    try:
        document = msgspec.convert(json.loads(body), dict[str, Any])
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if document.get("schema_version") != SCHEMA_VERSION:
        raise msgspec.ValidationError("it was written by another version of asyncpipe")
    units, problems = {}, {}
    for name, unit in msgspec.convert(document.get("units"), dict[str, Any]).items():
        try:
            units[name] = msgspec.convert(unit, UnitRecord)
        except msgspec.ValidationError as error:
            problems[name] = str(error)
    return msgspec.convert(document | {"units": units}, RunRecord), problems
