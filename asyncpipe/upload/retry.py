"""Small store calls that may be repeated without harm, and errors without their groups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from asyncpipe.errors import TransientStoreError, leaf_of
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.upload.pace import pause

Result = TypeVar("Result")


async def repeated(call: Callable[[], Awaitable[Result]], options: TransferOptions) -> Result:
    """Repeat ``call`` while the store says that it may succeed later."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return await call()
        except TransientStoreError:
            if attempt >= options.attempts:
                raise
        await pause(attempt, base_s=options.backoff_base_s, cap_s=options.backoff_cap_s)


@contextmanager
def flattened() -> Iterator[None]:
    """Raise the most telling error of a task group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaf = leaf_of(group)
        if isinstance(leaf, Exception):
            raise leaf from leaf.__cause__
        raise
