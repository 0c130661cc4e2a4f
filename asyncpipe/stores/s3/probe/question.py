"""One question to an endpoint at a time: was this refused, and for the reason that counts?"""

from __future__ import annotations

import contextlib
import math
import secrets
from collections.abc import AsyncIterator, Container, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp
import anyio
from botocore.exceptions import BotoCoreError, ClientError

from asyncpipe.errors import TransientStoreError
from asyncpipe.model.store import ChecksumMode, StoreOptions
from asyncpipe.model.store_keys import PROBE_ROOT
from asyncpipe.retry import Retries, RetryPolicy
from asyncpipe.stores.s3.errors import code_of, translated
from asyncpipe.stores.s3.requests import object_parameters, small_checksum

BODY: Final = b"?"
WRONG_BODY: Final = b"!"  # whose digests are the wrong ones
FOREIGN = (BotoCoreError, ClientError, aiohttp.ClientError, OSError)
_LIMIT_S: Final = 60
_CLEAN_UP_S: Final = 20
_CANCELLED_CLEAN_UP_S: Final = 2  # twice at most: a runner that cancels kills after ten
_LOAD: Final = frozenset({0, 429, 503})  # no answer, or one about load: ask again
_BROKEN: Final = frozenset({500, 502, 504})  # once may be chance, twice is the server's manner
# an answer about access, whatever the header in question was
_ABOUT_ACCESS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "InvalidToken",
        "NoSuchBucket",
    }
)
_AGAIN: Final = RetryPolicy(attempts=5, base_s=0.3)


class Request(Protocol):
    """One attempt of a raw call on a key of the store; botocore's errors come through."""

    async def __call__(self, operation: str, key: str | None, /, **parameters: Any) -> Any:
        """Return botocore's answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Asks on temporary keys, which it removes at its end."""

    request: Request
    root: str
    url: str
    options: StoreOptions
    keys: set[str] = field(default_factory=set)

    @property
    def extra(self) -> Mapping[str, Any]:
        """Encryption and tags, which every object of ours has."""
        return object_parameters(self.options, small=True)

    async def call(self, operation: str, name: str, **parameters: Any) -> dict[str, Any]:
        """Call for the object ``name``, again while the answer is about load."""
        key = f"{self.root}{name}"
        self.keys.add(key)
        retries, broken = Retries(_AGAIN), 0
        while True:
            try:
                answer: dict[str, Any] = await self.request(operation, key, **parameters)
            except FOREIGN as error:
                status, _ = code_of(error)
                broken += status in _BROKEN
                if status not in _LOAD and (status not in _BROKEN or broken > 1):
                    raise
                if status == 0 and not self._is_transient(error):
                    raise
                await retries.pause(error)
            else:
                return answer

    def _is_transient(self, error: Exception) -> bool:
        ours = translated(error, operation="probe", where=self.url)
        return isinstance(ours, TransientStoreError)

    async def status_of(self, operation: str, name: str, **parameters: Any) -> int:
        """Return the status of a refusal, 200 when the call was accepted; as `answer_of`."""
        return (await self.answer_of(operation, name, **parameters))[0]

    async def answer_of(
        self, operation: str, name: str, **parameters: Any
    ) -> tuple[int, dict[str, Any]]:
        """Return the status of a refusal, or 200 and the answer.

        Raises:
            ClientError: the endpoint answered about access, so nothing was learnt.
        """
        try:
            return 200, await self.call(operation, name, **parameters)
        except ClientError as error:
            status, code = code_of(error)
            if code in _ABOUT_ACCESS:
                raise
            return status, {}

    async def refused(
        self, operation: str, name: str, statuses: Container[int] | None, **parameters: Any
    ) -> bool:
        """Whether the call was refused, with one of ``statuses`` where they are named."""
        status = await self.status_of(operation, name, **parameters)
        return status != 200 and (statuses is None or status in statuses)

    async def put(self, name: str, mode: ChecksumMode, **conditions: Any) -> dict[str, Any]:
        """Store a byte, with a digest where ``mode`` has one."""
        return await self.call(
            "put_object", name, Body=BODY, **self.extra, **small_checksum(mode, BODY), **conditions
        )

    async def put_refused(
        self,
        name: str,
        statuses: Container[int] | None,
        mode: ChecksumMode,
        *,
        wrong: bool = False,
        **conditions: Any,
    ) -> bool:
        """Whether such a PutObject is refused; ``wrong``: its digest is another byte's."""
        digest = small_checksum(mode, WRONG_BODY if wrong else BODY)
        return await self.refused(
            "put_object", name, statuses, Body=BODY, **self.extra, **digest, **conditions
        )


@asynccontextmanager
async def probing(request: Request, url: str, options: StoreOptions) -> AsyncIterator[Probe]:
    """Open a probe; what it stored is removed at the end, however that comes.

    Raises:
        UploadError: the endpoint could not be asked.
    """
    root = f"{PROBE_ROOT}{secrets.token_hex(8)}-"
    probe = Probe(request=request, root=root, url=url, options=options)
    try:
        with anyio.fail_after(_LIMIT_S):
            yield probe
    except FOREIGN as error:
        if isinstance(error, TimeoutError):
            raise TransientStoreError(f"{url} was not probed within {_LIMIT_S} s.") from error
        asked = list(probe.extra)
        raise translated(error, operation="probe", where=url, parameters=asked) from error
    finally:
        await _remove(probe)


async def _remove(probe: Probe) -> None:
    """Remove the probe's objects; without the right to delete, they stay behind."""
    with anyio.move_on_after(clean_up_s(), shield=True):
        async with anyio.create_task_group() as tasks:

            async def remove(key: str) -> None:
                with contextlib.suppress(*FOREIGN):
                    await probe.request("delete_object", key)

            for key in probe.keys:
                tasks.start_soon(remove, key)


def clean_up_s() -> float:
    """How long clean-up may take now."""
    is_cancelled = anyio.current_effective_deadline() == -math.inf
    return _CANCELLED_CLEAN_UP_S if is_cancelled else _CLEAN_UP_S
