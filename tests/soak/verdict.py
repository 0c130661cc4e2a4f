"""What must be true after a soak: nothing leaked, every version verifies, failures have logs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import statistics
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio

from asyncpipe.model import store_keys
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3.store import S3Store
from asyncpipe.xva.read.validator import XvaValidator
from tests.soak.commands import Lane
from tests.soak.places import Place

_GROWTH_KIB: Final = 24 * 1024  # allocators keep some of what they once had
_LEAST_CYCLES: Final = 10
_LINGERING: Final = 16  # threads of disk calls end a second after their last one
_METADATA_KEY: Final = re.compile(r'templates/[^"]+?/metadata\.json')


def of_store(place: Place) -> tuple[list[str], int]:
    """Findings at the store, and how many versions were verified."""
    return anyio.run(_of_store, place)


async def _of_store(place: Place) -> tuple[list[str], int]:
    findings = []
    async with open_store(place.destination, environment=place.environment) as store:
        uploads = await store.list_uploads("")
        if isinstance(store, S3Store):
            uploads = await store._uploads(prefix=None)
        findings += [f"open upload of {one.handle.key}" for one in uploads]
        keys = {info.key async for info in store.list("")}
        folders = {key.rsplit("/", 1)[0] for key in keys if _is_version(key)}
        for folder in sorted(folders):
            findings += [text async for text in _of_version(store, folder, keys)]
    if place.name == "directory":
        findings += _beside_the_objects(Path(place.destination), len(keys))
    return [f"{place.name}: {text}" for text in findings], len(folders)


async def visible(place: Place) -> list[str]:
    """What a reader could trip over at any moment: a version that is listed and is not whole."""
    async with open_store(place.destination, environment=place.environment) as store:
        keys = {info.key async for info in store.list("")}
        findings, named = [], set[str]()
        for key in keys:
            if key.endswith("/latest.json") or store_keys.parse_segment_key(key):
                body = (await store.get(key, max_bytes=16 << 20)).body.decode()
                named |= set(_METADATA_KEY.findall(body))
        findings += [f"{key} is named and not there" for key in named - keys]
        for key in keys:
            if _is_version(key) and key.endswith("/metadata.json"):
                folder = key.rpartition("/")[0]
                findings += [text async for text in _files_of(store, folder, keys)]
    return findings


def _is_version(key: str) -> bool:
    return (
        key.startswith("templates/")
        and key.count("/") == 3
        and not {"channels", "index"} & {*key.split("/")}
    )


async def _of_version(store: ObjectStore, folder: str, keys: set[str]) -> AsyncIterator[str]:
    if f"{folder}/metadata.json" not in keys:
        yield f"{folder} is half published: {sorted(k for k in keys if k.startswith(folder))}"
        return
    if f"{folder}/claim.json" in keys:
        yield f"{folder} is still claimed"
    async for text in _files_of(store, folder, keys):
        yield text


async def _files_of(store: ObjectStore, folder: str, keys: set[str]) -> AsyncIterator[str]:
    body = (await store.get(f"{folder}/metadata.json", max_bytes=16 << 20)).body
    for name, entry in json.loads(body)["files"].items():
        digest, validator = hashlib.sha256(), XvaValidator()
        if entry["key"] not in keys:
            yield f"{entry['key']} is missing"
            continue
        async with store.stream(entry["key"]) as pieces:
            async for piece in pieces:
                digest.update(piece)
                if name == "xva":
                    validator.feed(memoryview(piece))
        if digest.hexdigest() != entry["sha256_hex"]:
            yield f"{entry['key']} is not what its metadata says"
        if name == "xva" and not validator.finish().accepted:
            yield f"{entry['key']} is no valid XVA"


def _beside_the_objects(root: Path, object_count: int) -> Iterator[str]:
    work = root / ".asyncpipe-uploads"
    known = {"lock", "objects"}
    yield from (f"{path} was left behind" for path in work.iterdir() if path.name not in known)
    sidecars = len(list((work / "objects").iterdir()))
    if sidecars > object_count:  # an object that was not published, .gitignore, has none
        yield f"{sidecars} sidecars for {object_count} objects"


def of_failures(lane: Lane) -> list[str]:
    """Failures without a log on the disk."""
    return [
        f"{lane.place.name}: {unit} of {timestamp} failed and left no log in {folder}"
        for unit, timestamp, folder in lane.failures()
        if not _has_log(folder / "build.log")
    ]


def _has_log(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def of_processes(folder: Path) -> list[str]:
    """Processes that still have the soak's folder in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            command = (
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except OSError:
            continue
        if str(folder).encode() in environment and int(entry.name) != os.getpid():
            found.append(f"process {entry.name} still lives: {command[:200]}")
    return found


def of_worker(name: str, measured: Sequence[Mapping[str, int]]) -> tuple[list[str], str]:
    """Findings of a process that ran all the time, and a line that says what it held."""
    if len(measured) < _LEAST_CYCLES:
        return [], f"{name}: {len(measured)} matrices in one process, too few to see a leak"
    settled = measured[len(measured) // 3 :]
    half = len(settled) // 2
    early, late = settled[:half], settled[half:]
    findings = []
    for what, slack in (("descriptors", 0), ("threads", _LINGERING), ("rss_kib", _GROWTH_KIB)):
        before = statistics.median(one[what] for one in early)
        after = statistics.median(one[what] for one in late)
        if after > before + slack:
            findings.append(f"{name}: {what} grew from {before:g} to {after:g} in one process")
    first, last = measured[0], measured[-1]
    line = ", ".join(f"{what} {first[what]} -> {last[what]}" for what in first)
    return findings, f"{name}: {len(measured)} matrices in one process: {line}"
