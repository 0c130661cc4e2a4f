"""An XVA into ``PUT /import``: tasks read, judge, send, receive the answer, watch XAPI's task.

XAPI answers 200 before it has read the body; only its task says whether the import worked.
``Transfer-Encoding: chunked`` is refused by XAPI, so that the size must be known
(https://xapi-project.github.io, ``ocaml/xapi/import.ml``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from asyncpipe.errors import AsyncpipeError, HostError, HostTrustError
from asyncpipe.host.connection import Answer, Exchange, connected
from asyncpipe.host.endpoint import Endpoint, endpoint_of
from asyncpipe.host.judge import BLOCK_BYTES, Judge
from asyncpipe.host.records import Record
from asyncpipe.host.refusals import error_of
from asyncpipe.host.session import Session
from asyncpipe.host.trust import verifier_of
from asyncpipe.host.xmlrpc import Refusal
from asyncpipe.model.run import Trust
from asyncpipe.model.xva import Compression

_POLL_S: Final = 0.5
_IDLE_S: Final = 300.0  # without a byte sent or any progress of the host's task
_VERDICT_S: Final = 15.0  # for the task to say why the connection broke
_MAX_ANSWER_BYTES: Final = 64 * 1024
_REDIRECTS: Final = 2
_BLOCKS_AHEAD: Final = 2  # between reading and judging, and between judging and sending


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSource:
    """An XVA to import; ``open`` may be called again after a redirect."""

    name: str  # for people, without credentials
    size_bytes: int
    open: Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes | memoryview]]]
    sha256_hex: str | None = None  # what was published; None: not known
    plain: ImportSource | None = None  # the same, decompressed, for hosts that need it so
    compression: Compression | None = None  # None: not known
    version: str | None = None  # "debian12@20261123T170000Z"
    origin: str = ""  # the URL it comes from, without credentials

    @property
    def content_size_bytes(self) -> int:
        """Of the archive inside, as far as that is known."""
        return self.size_bytes if self.plain is None else self.plain.size_bytes


class ImportProgress(Protocol):
    """Called with the progress of an import; must not block."""

    def sent(self, sent_bytes: int) -> None:
        """So many bytes have left."""
        ...

    def warn(self, text: str) -> None:
        """Something that a person must know although the import goes on, or ends."""
        ...


async def stream(
    session: Session,
    trust: Trust,
    source: ImportSource,
    *,
    task: str,
    storage: str,
    progress: ImportProgress,
) -> str:
    """Send the XVA; returns its SHA-256 once XAPI's task has succeeded.

    Raises:
        HostError: refused, broken off, or nothing moved for five minutes.
        ChecksumError, XvaInvalidError: what came is not what it should be; the host never got it
            whole.
        UploadError: the source cannot be read.
    """
    endpoint = session.endpoint
    for _ in range(_REDIRECTS + 1):
        sending = _Sending(session, source, task, progress)
        target = (
            f"/import?session_id={quote(session.reference, safe='')}"
            f"&task_id={quote(task, safe='')}&sr_id={quote(storage, safe='')}"
        )
        verifier = await anyio.to_thread.run_sync(verifier_of, trust, endpoint)
        async with connected(endpoint, verifier) as exchange:
            await exchange.begin(
                "PUT",
                target,
                size_bytes=source.size_bytes,
                content_type="application/octet-stream",
            )
            location = await sending.run(exchange)
        if location is None:
            return sending.judge.sha256_hex
        endpoint = elsewhere(endpoint, location)
    raise HostError(f"{session.endpoint} sends the import from host to host.")


def elsewhere(endpoint: Endpoint, location: str) -> Endpoint:
    """The storage repository belongs to another host of the pool."""
    parts = urlsplit(location)
    if parts.scheme != "https":
        raise HostTrustError(f"{endpoint} sends the import to a host without TLS.")
    return endpoint_of(parts.netloc.rpartition("@")[2])


class _Sending:
    """The tasks of one attempt; the first failure ends all of them."""

    def __init__(
        self, session: Session, source: ImportSource, task: str, progress: ImportProgress
    ) -> None:
        self._session = session
        self._source = source
        self._task = task
        self._progress = progress
        self.judge = Judge(source.name, source.size_bytes, source.sha256_hex)
        self._judged = False
        self._sent_bytes = 0
        self._failure: AsyncpipeError | None = None
        self._broken: HostError | None = None  # the connection; XAPI's task knows why
        self._location: str | None = None

    async def run(self, exchange: Exchange) -> str | None:
        """Returns where else to send it, None when it is imported."""
        async with anyio.create_task_group() as tasks:
            scope = tasks.cancel_scope
            read, batches = anyio.create_memory_object_stream[bytearray](_BLOCKS_AHEAD)
            judged, ready = anyio.create_memory_object_stream[bytearray](_BLOCKS_AHEAD)
            tasks.start_soon(self._guarded, scope, self._read, read)
            tasks.start_soon(self._guarded, scope, partial(self._judge, judged), batches)
            tasks.start_soon(self._guarded, scope, partial(self._send, exchange), ready)
            tasks.start_soon(self._guarded, scope, self._receive, exchange)
            tasks.start_soon(self._guarded, scope, self._watch, scope)
        if self._failure is not None:
            raise self._failure
        return self._location

    async def _guarded(
        self, scope: anyio.CancelScope, step: Callable[[Any], Awaitable[None]], argument: Any
    ) -> None:
        try:
            await step(argument)
        except anyio.BrokenResourceError:
            return  # whom we hand on to has failed, and says why
        except AsyncpipeError as error:
            self._failure = self._failure or error
            scope.cancel()
        if self._location is not None:
            scope.cancel()

    async def _read(self, batches: MemoryObjectSendStream[bytearray]) -> None:
        """Gather pieces: a store's are small, and each batch costs a way to a thread and back."""
        batch = bytearray()
        async with batches, self._source.open() as pieces:
            async for piece in pieces:
                batch += piece
                if len(batch) >= BLOCK_BYTES:
                    await batches.send(batch)
                    batch = bytearray()
            if batch:
                await batches.send(batch)
            await batches.send(bytearray())  # the end: a source that fails ends without it

    async def _judge(
        self,
        judged: MemoryObjectSendStream[bytearray],
        batches: MemoryObjectReceiveStream[bytearray],
    ) -> None:
        async with judged, batches:
            async for batch in batches:
                if not batch:
                    break
                for block in await anyio.to_thread.run_sync(self.judge.feed, batch):
                    await judged.send(block)
            else:
                return
            rest = await anyio.to_thread.run_sync(self.judge.finish)
            self._judged = True
            for block in rest:
                await judged.send(block)

    async def _send(self, exchange: Exchange, ready: MemoryObjectReceiveStream[bytearray]) -> None:
        async with ready:
            async for block in ready:
                await self._send_block(exchange, block)

    async def _send_block(self, exchange: Exchange, block: bytearray) -> None:
        if self._broken is not None:
            await anyio.sleep_forever()  # the watcher finds out why, and ends us
        try:
            await exchange.send(block)
        except HostError as error:
            self._broken = self._broken or error
            return
        self._sent_bytes += len(block)
        self._progress.sent(self._sent_bytes)

    async def _receive(self, exchange: Exchange) -> None:
        try:
            answer = await exchange.receive(max_bytes=_MAX_ANSWER_BYTES)
        except HostError as error:
            self._broken = self._broken or error
            return
        self._judge_answer(answer)

    def _judge_answer(self, answer: Answer) -> None:
        host = self._session.endpoint
        if answer.status in {301, 302, 307}:
            self._location = answer.headers.get("location", "")
        elif answer.status != 200:
            raise HostError(
                f"{host} refused the import with HTTP {answer.status}.",
                hint="Look into /var/log/xensource.log on the host.",
            )
        elif self._sent_bytes < self._source.size_bytes:
            self._broken = HostError(f"{host} ended the import before it was sent whole.")

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Follow XAPI's task to its end; its words are better than those of a broken connection."""
        seen: tuple[object, ...] = ()
        changed_s = broken_s = anyio.current_time()
        while True:
            waiting = self._sent_bytes == self._source.size_bytes or self._broken is not None
            await anyio.sleep(_POLL_S / 5 if waiting else _POLL_S)
            now_s = anyio.current_time()
            record = await self._task_record()
            if record is not None and record.get("status") != "pending":
                self._judge_task(record)
                scope.cancel()
                return
            moved = (self._sent_bytes, record and record.get("progress"))
            changed_s, seen = (now_s, moved) if moved != seen else (changed_s, seen)
            broken_s = now_s if self._broken is None else broken_s
            if self._broken is not None and (record is None or now_s - broken_s > _VERDICT_S):
                raise self._broken
            if now_s - changed_s > _IDLE_S:
                raise HostError(
                    f"The import at {self._session.endpoint} has not moved for {_IDLE_S:g} s.",
                    hint="Look at the host's storage and at the store's connection.",
                )

    async def _task_record(self) -> Record | None:
        """XAPI's task, None when it cannot be asked for now."""
        try:
            record: Record = await self._session.attempt("task.get_record", self._task)
        except Refusal as refusal:
            raise self._broken or error_of(
                refusal, self._session.endpoint, "to tell about the import"
            ) from None
        except HostError:
            return None
        return record

    def _judge_task(self, record: Record) -> None:
        host = self._session.endpoint
        if record.get("status") == "success":
            if not self._judged:
                raise HostError(f"{host} took the import for complete before it was.")
            return
        words = [str(word) for word in record.get("error_info") or ()]
        if record.get("status") == "cancelled" or not words:
            raise HostError(f"The import was cancelled on {host}.", code="TASK_CANCELLED")
        raise error_of(Refusal(words), host, "the import")
