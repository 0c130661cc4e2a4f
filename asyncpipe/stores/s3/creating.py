"""Store a small object only if the key is free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import anyio

from asyncpipe.errors import DestinationTakenError, ObjectMissingError, TransientStoreError
from asyncpipe.retry import Retries, RetryPolicy
from asyncpipe.stores.s3.answers import unquoted
from asyncpipe.stores.s3.calls import S3Calls
from asyncpipe.stores.s3.reading import read_small

_ATTEMPTS: Final = RetryPolicy(attempts=3, base_s=0.4)
SETTLE_S: Final = 1.0  # longer than a rival's small PUT takes that looked before ours was there


async def create(calls: S3Calls, key: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Create by If-None-Match; an attempt whose answer was lost is recognised by its bytes.

    Raises:
        DestinationTakenError: another object has this key.
    """
    retries = Retries(_ATTEMPTS)
    while True:
        try:
            return await calls.call("once", "put_object", key, IfNoneMatch="*", **parameters)
        except DestinationTakenError:
            body = parameters["Body"]
            if retries.attempt == 1 or (answer := await _ours(calls, key, body)) is None:
                raise
            return answer
        except TransientStoreError as error:
            await retries.pause(error)


async def _ours(calls: S3Calls, key: str, body: bytes) -> dict[str, Any] | None:
    stored = await read_small(calls, key, len(body) + 1)
    return {"ETag": stored.info.etag} if stored.body == body else None


async def create_and_look(
    calls: S3Calls, key: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Create where the store knows no condition: look before, write, and look again later.

    Of two who looked before either wrote, the later one's object stays, and the other sees that.
    A rival who takes longer than ``SETTLE_S`` from looking to writing is not noticed, so nobody
    may claim from this that the store refuses.

    Raises:
        DestinationTakenError: another object had this key, or has it now.
    """
    if await _etag(calls, key) is not None:
        raise DestinationTakenError(f"{calls.url_of(key)} exists already.")
    answer = await calls.call("small", "put_object", key, **parameters)
    await anyio.sleep(SETTLE_S)
    if await _etag(calls, key) != unquoted(answer):
        raise DestinationTakenError(f"{calls.url_of(key)} was written by another at the same time.")
    return answer


async def _etag(calls: S3Calls, key: str) -> str | None:
    try:
        return unquoted(await calls.call("small", "head_object", key))
    except ObjectMissingError:
        return None
