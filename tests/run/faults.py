"""Every await of a template's way through a port, found by a run without faults, then made to fail.

Two templates run in one process. The calls that the first one makes (store, log files, processes,
files read in threads) are numbered; one of them fails in a chosen manner. The clock is virtual and
threads run inline, so that a number means the same call in every run.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trio.testing
from anyio.lowlevel import checkpoint

from asyncpipe.errors import TransientStoreError
from asyncpipe.model import store_keys
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.publication import Outcome
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import Command, LogFile, RunningProcess
from asyncpipe.reap.stored import sweep
from asyncpipe.retry import RetryPolicy
from asyncpipe.run.pipeline import process_template, publish_built
from asyncpipe.run.scheduler import DiskBudget, Job, process_matrix
from asyncpipe.run.services import Services
from asyncpipe.run.state import Built
from asyncpipe.system.threads import DaemonWorker
from asyncpipe.testing.processes import Script, ScriptedProcessRunner
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload.budget import Budget
from tests.run.services import Bench, guest_says, leaves, plan_in

ERRNOS = ("ENOSPC", "EIO", "ENOMEM", "EMFILE", "EACCES", "EDQUOT", "ESTALE")
LOST = "the answer is lost"
CANCELLED = "cancelled before the call"
CANCELLED_LATE = "cancelled when the call has worked"
STAYS = "fails from then on"
ROUTES = ("plain", "eager", "resumed")
MIB = 1024 * 1024

_IS_VICTIM: ContextVar[bool] = ContextVar("is_victim", default=False)
_STORE_CALLS = (
    "put",
    "get",
    "head",
    "delete",
    "create_upload",
    "upload_part",
    "complete_upload",
    "abort_upload",
    "list_parts",
)


@dataclass(slots=True)
class Faults:
    """Counts the victim's calls, and lets the one at ``at`` fail as ``how`` says."""

    at: int | None = None
    how: str = ""
    sites: list[str] = field(default_factory=list)
    cancel: Callable[[], None] = lambda: None

    async def meet(self, name: str, act: Callable[[], Awaitable[Any]]) -> Any:
        if not _IS_VICTIM.get():
            return await act()
        number = len(self.sites)
        self.sites.append(name)
        if self.at is None or number < self.at or (number > self.at and self.how != STAYS):
            return await act()
        if self.how == CANCELLED:
            self.cancel()
            return await act()
        if self.how in {LOST, CANCELLED_LATE}:
            with anyio.CancelScope(shield=True):
                result = await act()
            if self.how == LOST:
                raise TransientStoreError("The connection was reset.")
            self.cancel()
            await checkpoint()
            return result
        if name.endswith("close"):  # a file is closed, whatever close(2) answers
            await act()
        code = errno.ENOSPC if self.how == STAYS else getattr(errno, self.how)
        raise OSError(code, os.strerror(code))


class _Store(MemoryStore):
    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self.faults = faults


def _met(name: str) -> Callable[..., Awaitable[Any]]:
    real = getattr(MemoryStore, name)

    async def call(self: _Store, *args: Any, **named: Any) -> Any:
        return await self.faults.meet(f"store.{name}", lambda: real(self, *args, **named))

    return call


for _name in _STORE_CALLS:
    setattr(_Store, _name, _met(_name))


@dataclass(slots=True)
class _LogFiles:
    faults: Faults

    async def create(self, path: Path) -> LogFile:
        async def act() -> LogFile:
            await checkpoint()
            path.touch(exist_ok=False)  # noqa: ASYNC240 - tiny, and threads run inline here
            return _LogFile(path, self.faults)

        file: LogFile = await self.faults.meet("log.create", act)
        return file


@dataclass(slots=True)
class _LogFile:
    path: Path
    faults: Faults

    async def write(self, data: bytes) -> None:
        async def act() -> None:
            await checkpoint()
            with self.path.open("ab") as file:
                file.write(data)

        await self.faults.meet("log.write", act)

    async def close(self) -> None:
        await self.faults.meet("log.close", checkpoint)


@dataclass(slots=True)
class _Process:
    real: RunningProcess
    faults: Faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def receive(self) -> bytes:
        data: bytes = await self.faults.meet("process.receive", self.real.receive)
        return data

    async def wait(self) -> int:
        code: int = await self.faults.meet("process.wait", self.real.wait)
        return code


@dataclass(slots=True)
class _Runner:
    real: ScriptedProcessRunner
    faults: Faults

    @asynccontextmanager
    async def start(self, command: Command) -> AsyncIterator[RunningProcess]:
        await self.faults.meet("process.start", checkpoint)
        async with self.real.start(command) as process:
            yield _Process(process, self.faults)


@dataclass(slots=True)
class Result:
    """How a run with one fault went."""

    faults: Faults
    store: MemoryStore
    budget: Budget
    outcomes: Sequence[Outcome]
    was_cancelled: bool
    neighbour_signals: Sequence[object]


@dataclass(slots=True)
class Workshop:
    """Runs two templates with a fault in the first."""

    folder: Path
    image: bytes
    route: str
    count: int = 0

    def run(self, at: int | None = None, how: str = "") -> Result:
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(at=at, how=how)

            async def inline(function: Callable[..., Any], *args: Any, **_named: Any) -> Any:
                async def act() -> Any:
                    await checkpoint()
                    return function(*args)

                return await faults.meet(f"file.{_name_of(function)}", act)

            async def in_worker(_worker: object, function: Callable[..., Any], *args: Any) -> Any:
                return await inline(function, *args)

            patch.setattr(anyio.to_thread, "run_sync", inline)
            patch.setattr(DaemonWorker, "run", in_worker)
            clock = trio.testing.MockClock(autojump_threshold=0)
            return anyio.run(self._matrix, faults, backend="trio", backend_options={"clock": clock})

    async def _matrix(self, faults: Faults) -> Result:
        self.count += 1
        folder = self.folder / str(self.count)
        store = _Store(faults)
        options = TransferOptions(
            retry=RetryPolicy(attempts=3, base_s=0.01),
            part_size_bytes=MIB,
            max_memory_bytes=4 * MIB,  # a growing file too is cut into parts of 1 MiB
            abort_timeout_s=5.0,
        )
        budget = Budget(options)  # one process, one budget
        runner = ScriptedProcessRunner(scripts=[self._script()] * 2)
        one = plan_in(folder / "one")
        other = replace(plan_in(folder / "other"), unit="other", timestamp="20261123T170001Z")
        services = [
            replace(
                Bench(folder / name, (), store=store, eager=self.route == "eager").workshop(),
                runner=_Runner(runner, faults),
                log_files=_LogFiles(faults),
                transfer=options,
                budget=budget,
            )
            for name in ("one", "other")
        ]
        built = await _built_before(one, services[0]) if self.route == "resumed" else None

        async def victim(_attempt: int) -> Outcome:
            _IS_VICTIM.set(True)
            if built is not None:
                return await publish_built(one, services[0], built)
            return await process_template(one, services[0])

        async def neighbour(_attempt: int) -> Outcome:
            return await process_template(other, services[1])

        outcomes: Sequence[Outcome] = ()
        with anyio.CancelScope() as scope, anyio.fail_after(3600):
            faults.cancel = scope.cancel
            outcomes = await process_matrix(
                [
                    Job(name=name, template_path="x", expected_bytes=0, run=run)
                    for name, run in (("one", victim), ("other", neighbour))
                ],
                at_once=2,
                disk=DiskBudget(lambda: 1 << 40),
            )
        faults.at = None  # the store is well again
        await sweep(store, before_utc=datetime(2999, 1, 1, tzinfo=UTC), dry_run=False)
        return Result(
            faults=faults,
            store=store,
            budget=budget,
            outcomes=outcomes,
            was_cancelled=scope.cancelled_caught,
            neighbour_signals=[
                sent
                for process in runner.processes
                for sent in process.signals
                if str(folder / "other") in "".join(process._command.argv)
            ],
        )

    def _script(self) -> Script:
        lines = ((0.0, b"==> null.demo: hello\n"), (1.0, guest_says("debian", "12")))
        write = leaves("demo.xva", self.image)
        if self.route == "eager":
            return Script(output=(*lines, (2.0, b"==> null.demo: exported\n")), on_start=write)
        return Script(output=lines, on_exit=write)


async def _built_before(one: BuildPlan, services: Services) -> Built:
    """What a run leaves whose upload failed for a while: everything but the publication."""
    store = services.store
    assert isinstance(store, MemoryStore)
    store.fail("upload_part", TransientStoreError("no link"), times=3, part_number=2)
    await process_template(one, services)
    store._faults.clear()
    built = Built.read(one.run_directory)
    assert built is not None, "the first run keeps what it built"
    return built


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__).replace("<locals>.", "")


def half_visible(store: MemoryStore) -> list[str]:
    """Name what a reader could trip over: folders that are not whole, uploads, wrong digests."""
    folders = {
        key.rsplit("/", 1)[0]
        for key in store.objects
        if key.startswith("templates/")
        and key.count("/") == 3
        and not store_keys.parse_segment_key(key)
    }
    faults = [f"open upload of {upload.handle.key}" for upload in store.uploads.values()]
    for folder in sorted(folders):
        metadata = store.objects.get(f"{folder}/metadata.json")
        if metadata is None:
            faults.append(f"{folder} has no metadata.json")
            continue
        for entry in json.loads(metadata.body)["files"].values():
            stored = store.objects.get(entry["key"])
            if stored is None:
                faults.append(f"{entry['key']} is missing")
            elif hashlib.sha256(stored.body).hexdigest() != entry["sha256_hex"]:
                faults.append(f"{entry['key']} is another object")
    return faults
