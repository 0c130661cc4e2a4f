"""Interrupted over real servers: resumed with what they hold, reaped when nobody resumes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from anyio import to_thread

from asyncpipe.errors import UploadMissingError
from asyncpipe.model.store import UploadHandle
from asyncpipe.model.transfer import Keep, PublishedObject, Target
from asyncpipe.reap import Kind, sweep
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3.store import S3Store
from tests.e2e.command import REPOSITORY, clean_environment
from tests.stores.real_servers import RealServer, running_ceph, running_swift
from tests.stores.small_servers import SMALL, running_small
from tests.upload.crash_child import OPTIONS
from tests.upload.helpers import MIB, published, sha256_hex, some_bytes, written

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]

BODY = some_bytes(43 * MIB + 5)
PARTS = set(range(1, 10))
KEY = "templates/debian12/20261101T000000Z/debian12.xva"
LIMIT_S = 120
CHECKS = {
    "swift": "sha256-parts",
    "ceph": "etag-md5",
    "minio": "crc64nvme",
    "versitygw": "crc64nvme",
    "gofakes3": "md5-parts",
    "rclone": "md5-parts",
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=CHECKS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in SMALL:
        with running_small(request.param, folder) as (server, _):
            yield server
        return
    running = {"swift": running_swift, "ceph": running_ceph}[request.param]
    with running(folder) as server:
        yield server


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One prefix of a real server, and one file on its way to it."""

    server: RealServer
    destination: str
    path: Path
    journal: Path

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[S3Store]:
        async with open_store(self.destination, environment=self.server.environment) as store:
            await store.probe()
            yield cast("S3Store", store)

    def child(self) -> subprocess.Popen[bytes]:
        """An upload in a process of its own, slow enough to be killed in its middle."""
        work = {
            "key": KEY,
            "path": str(self.path),
            "journal": str(self.journal),
            "profile": "auto",
            "slow": "yes",
        }
        job = json.dumps([self.destination, dict(self.server.environment), work])
        return subprocess.Popen(
            [sys.executable, "-m", "tests.upload.crash_child", job],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )

    async def handle(self) -> UploadHandle:
        """The upload that the journal tells of, as soon as it does."""
        while True:
            try:
                text = await anyio.Path(self.journal).read_text()
            except FileNotFoundError:
                await anyio.sleep(0.01)
            else:
                return UploadHandle(key=KEY, upload_id=json.loads(text)["upload_id"])

    async def parts_arrived(self, store: S3Store, count: int) -> UploadHandle:
        handle = await self.handle()
        while len(await store.list_parts(handle)) < count:  # noqa: ASYNC110 - a server has no event
            await anyio.sleep(0.01)
        return handle

    async def upload(self, store: S3Store) -> PublishedObject:
        return await published(
            store,
            Target(key=KEY, content_type="application/octet-stream"),
            self.path,
            OPTIONS,
            journal_path=self.journal,
            resume=True,
            keep=Keep.LOST,
        )


@pytest.fixture
def place(server: RealServer, tmp_path: Path) -> Place:
    return Place(
        server=server,
        destination=f"s3://{server.bucket}/{secrets.token_hex(4)}",
        path=written(tmp_path / "image.xva", BODY),
        journal=tmp_path / "upload.json",
    )


async def killed(place: Place) -> UploadHandle:
    """A process that was killed once the store had some parts."""
    child = place.child()
    try:
        async with place.opened() as store:
            return await place.parts_arrived(store, 3)
    finally:
        child.kill()
        await to_thread.run_sync(child.wait)
        assert child.returncode == -9


def wire_tap(store: S3Store) -> set[int]:
    """Numbers of the parts that go out from now on, as the HTTP requests have them."""
    numbers: set[int] = set()

    def note(request: Any, **_: Any) -> None:
        numbers.add(int(parse_qs(urlsplit(request.url).query)["partNumber"][0]))

    store._calls._client.raw.meta.events.register("before-send.s3.UploadPart", note)
    return numbers


async def test_an_interrupted_upload_is_resumed_with_the_parts_the_server_holds(
    place: Place,
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await killed(place)
        async with place.opened() as store:
            kept = {part.number: part.size_bytes for part in await store.list_parts(handle)}
            assert 3 <= len(kept) < len(PARTS)
            assert await store.head(KEY) is None
            sent = wire_tap(store)
            result = await place.upload(store)

            assert sent
            assert not sent & set(kept), "a part that the server had was sent again"
            assert result.resumed_bytes >= sum(kept.values())
            assert result.resumed_bytes < len(BODY)
            assert await body_of(store) == BODY
            assert result.digests.sha256_hex == sha256_hex(BODY)
            assert CHECKS[place.server.name] in result.checks
            if place.server.name not in {"gofakes3", "rclone"}:  # theirs is the MD5 of the whole
                assert result.info.etag == md5_of_md5s()
            assert not await store.list_uploads("")
    assert not await anyio.Path(place.journal).exists()


async def body_of(store: S3Store) -> bytes:
    body = bytearray()
    async with store.stream(KEY) as pieces:
        async for piece in pieces:
            body += piece
    return bytes(body)


def md5_of_md5s() -> str:
    size = 5 * MIB
    md5s = [hashlib.md5(BODY[at : at + size]).digest() for at in range(0, len(BODY), size)]
    return f"{hashlib.md5(b''.join(md5s)).hexdigest()}-{len(md5s)}"


async def by_sweep(place: Place) -> None:
    async with place.opened() as store:
        later = datetime.now(UTC) + timedelta(days=1)
        reaped = await sweep(store, before_utc=later, dry_run=False)
    assert [(finding.kind, finding.removed) for finding in reaped.findings] == [(Kind.UPLOAD, True)]
    assert not reaped.left_open


async def by_command(place: Place) -> None:
    argv = [sys.executable, "-m", "asyncpipe", "reap", "--older-than", "0s"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*argv, "--destination", place.destination],
            cwd=place.path.parent,
            env=clean_environment(place.path.parent, place.server.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    ended = await to_thread.run_sync(run)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("removed: upload") == 1


@pytest.mark.parametrize("reaping", [by_sweep, by_command])
async def test_an_upload_that_nobody_resumes_is_found_and_removed(
    place: Place, reaping: Callable[[Place], Awaitable[None]]
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await killed(place)
        await to_thread.run_sync(os.unlink, place.journal)
        async with place.opened() as store:
            assert [one.handle for one in await store.list_uploads("")] == [handle]
        await reaping(place)
        async with place.opened() as store:
            assert not await store.list_uploads("")
            assert not [info.key async for info in store.list("")]
            with pytest.raises(UploadMissingError):
                await store.list_parts(handle)
