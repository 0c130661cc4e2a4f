"""Killed at a random instant: nothing is half visible, a resumption ends well, no orphan stays."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
import zstandard

from asyncpipe.reap import sweep
from asyncpipe.stores.open import open_store
from tests.e2e.command import clean_environment
from tests.e2e.zygote import Forked, Zygote, kill_after, running_zygote
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.upload.helpers import MIB, some_bytes, written

BODY = some_bytes(33 * MIB + 5)
COMPRESSIBLE = some_bytes(18 * MIB) + bytes(9 * MIB) + b"text that repeats. " * 300_000
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Crashes:
    """One server, and children that upload to it."""

    standin: StandIn
    zygote: Zygote
    path: Path
    folder: Path
    zstd: bool = False

    def child(self, key: str) -> Forked:
        work = {"key": key, "path": str(self.path), "journal": str(self.journal(key))}
        if self.zstd:
            work["zstd"] = "3"
        return self.zygote.fork(
            "tests.upload.crash_child:run",
            (self.standin.destination, self.standin.environment, work),
            folder=REPOSITORY,
            environment=clean_environment(self.folder),
            output=self.folder / "output",
        )

    def journal(self, key: str) -> Path:
        return self.folder / f"{key.replace('/', '_')}.json"

    def finish(self, child: Forked) -> None:
        assert child.wait() == 0, (self.folder / "output").read_text()

    def visible(self, key: str) -> bytes | None:
        name = f"p/{key}"
        if name not in self.standin.objects():
            return None
        stored = self.standin.read(name)
        return (
            zstandard.ZstdDecompressor().decompressobj().decompress(stored) if self.zstd else stored
        )

    def parts_at_the_store(self, key: str) -> set[int]:
        """Part numbers of the upload that the journal names."""
        try:
            upload_id = json.loads(self.journal(key).read_bytes())["upload_id"]
        except FileNotFoundError:
            return set()
        open_ids = {upload.upload_id for upload in self.standin.uploads()}
        return set(self.standin.parts(upload_id)) if upload_id in open_ids else set()


@pytest.fixture
def crashes(tmp_path: Path) -> Iterator[Crashes]:
    with (
        running_standin(folder=tmp_path / "store") as standin,
        running_zygote("tests.upload.crash_child") as zygote,
    ):
        yield Crashes(standin, zygote, written(tmp_path / "image.xva", BODY), tmp_path)


@pytest.mark.parametrize(
    "rounds", [5, pytest.param(60, marks=[pytest.mark.heavy, pytest.mark.timeout(900)])]
)
def test_killed_at_any_instant_it_resumes_and_half_of_it_is_never_visible(
    crashes: Crashes, rounds: int
) -> None:
    killed_and_resumed(crashes, BODY, rounds)


@pytest.mark.parametrize(
    "rounds", [1, pytest.param(30, marks=[pytest.mark.heavy, pytest.mark.timeout(900)])]
)
def test_killed_while_it_compresses_it_resumes_part_by_part(crashes: Crashes, rounds: int) -> None:
    path = written(crashes.folder / "compressible.xva", COMPRESSIBLE)
    killed_and_resumed(replace(crashes, path=path, zstd=True), COMPRESSIBLE, rounds)


def killed_and_resumed(crashes: Crashes, body: bytes, rounds: int) -> None:
    """Kill an upload at random instants of its life, and resume each."""
    began_s = time.monotonic()
    crashes.finish(crashes.child("whole"))
    whole_s = time.monotonic() - began_s
    chance = random.Random(20261123)
    for number in range(rounds):
        key = f"templates/killed/20261123T1700{number:02d}Z/killed.xva"  # as ours are
        kill_after(crashes.child(key), chance.uniform(0, whole_s))
        assert crashes.visible(key) in {None, body}
        kept = crashes.parts_at_the_store(key)
        seen = len(crashes.standin.requests)
        resume(crashes, key)
        assert crashes.visible(key) == body
        sent = {
            request.part_number
            for request in crashes.standin.requests[seen:]
            if request.operation == "UploadPart"
        }
        assert not sent & kept, "a part that the store had was sent again"
        assert not crashes.journal(key).exists()
        # only a kill between the creation and the journal's first line leaves an upload
        assert sum(upload.key == f"p/{key}" for upload in crashes.standin.uploads()) <= 1
    anyio.run(reap, crashes.standin)
    assert not crashes.standin.uploads()


async def reap(standin: StandIn) -> None:
    """Abort every open upload of ours, as ``asyncpipe reap --older-than 0s`` does."""
    async with open_store(standin.destination, environment=standin.environment) as store:
        await sweep(store, before_utc=datetime.now(UTC) + timedelta(days=1), dry_run=False)


def resume(crashes: Crashes, key: str) -> None:
    """Start it again, unless it had ended and forgotten its journal."""
    if crashes.visible(key) is not None and not crashes.journal(key).exists():
        return
    crashes.finish(crashes.child(key))
