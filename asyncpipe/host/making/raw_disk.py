"""A small disk at a host with bytes of ours on it: ``VDI.create``, then ``PUT /import_raw_vdi``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import anyio
import anyio.to_thread

from asyncpipe.errors import HostError
from asyncpipe.host.connection import Answer, connected
from asyncpipe.host.refusals import error_of
from asyncpipe.host.session import Session
from asyncpipe.host.stream import elsewhere
from asyncpipe.host.trust import verifier_of
from asyncpipe.host.xmlrpc import Refusal
from asyncpipe.model.host import TAG
from asyncpipe.model.run import Trust

_FILL_S: Final = 120.0  # a few MiB, on a repository that may be slow
_TASK_ENDS_S: Final = 10.0
_POLL_S: Final = 0.25
_REDIRECTS: Final = 2
_MAX_ANSWER_BYTES: Final = 64 * 1024


async def create_disk(session: Session, *, storage: str, name: str, size_bytes: int) -> str:
    """Make an empty disk; returns its reference.

    A cancellation waits for the host's answer: a disk that nobody knows the reference of would
    stay.

    Raises:
        HostError, HostFullError: the host refuses.
    """
    fields: Mapping[str, Any] = {
        "name_label": name,
        "name_description": "made by asyncpipe",
        "SR": storage,
        "virtual_size": str(size_bytes),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
        "xenstore_data": {},
        "sm_config": {},
        "tags": [TAG],
    }
    with anyio.CancelScope(shield=True):  # bounded by the call's own limit
        return str(await session.call("VDI.create", fields))
    raise AssertionError("a scope that nobody cancels swallows nothing")


async def fill_disk(session: Session, trust: Trust, disk: str, data: bytes) -> None:
    """Write ``data`` to the beginning of a disk that no VM uses.

    Raises:
        HostError: the host refuses, breaks off, or takes more than two minutes.
    """
    task = str(await session.call("task.create", "asyncpipe disk", ""))
    try:
        with anyio.fail_after(_FILL_S):
            await _put(session, trust, disk, task, data)
            await _ended(session, task)
    except TimeoutError as error:
        raise HostError(
            f"{session.endpoint} took more than {_FILL_S:g} s for {len(data):,} bytes of a disk.",
            hint="Look at the load of the host and of its storage.",
        ) from error
    finally:
        with anyio.move_on_after(_TASK_ENDS_S, shield=True), suppress(HostError):
            await session.call("task.destroy", task)


async def _put(session: Session, trust: Trust, disk: str, task: str, data: bytes) -> None:
    endpoint = session.endpoint
    target = (
        f"/import_raw_vdi?session_id={quote(session.reference, safe='')}"
        f"&task_id={quote(task, safe='')}&vdi={quote(disk, safe='')}&format=raw"
    )
    answer = Answer(status=0)
    for _ in range(_REDIRECTS + 1):
        verifier = await anyio.to_thread.run_sync(verifier_of, trust, endpoint)
        async with connected(endpoint, verifier) as exchange:
            await exchange.begin(
                "PUT", target, size_bytes=len(data), content_type="application/octet-stream"
            )
            await exchange.send(data)
            answer = await exchange.receive(max_bytes=_MAX_ANSWER_BYTES)
        if answer.status not in {301, 302, 307}:
            break
        endpoint = elsewhere(endpoint, answer.headers.get("location", ""))
    if answer.status != 200:
        raise HostError(
            f"{endpoint} refused the content of a disk with HTTP {answer.status}.",
            hint="Look into /var/log/xensource.log on the host.",
        )


async def _ended(session: Session, task: str) -> None:
    """Wait for XAPI's task, which alone says whether it worked."""
    while True:
        record = await session.call("task.get_record", task)
        if record.get("status") == "success":
            return
        if record.get("status") != "pending":
            words = [str(word) for word in record.get("error_info") or ()] or ["TASK_CANCELLED"]
            raise error_of(Refusal(words), session.endpoint, "the content of a disk")
        await anyio.sleep(_POLL_S)
