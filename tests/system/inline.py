"""Disk calls on the event loop itself: a virtual clock would jump over what a thread does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from asyncpipe.system.threads import DaemonWorker


@contextmanager
def disk_calls_inline() -> Iterator[None]:
    """Run every call of a ``Disk`` where its caller runs."""

    async def run(
        _worker: object, function: Callable[..., Any], *args: Any, grace_s: float = 0.0
    ) -> Any:
        await checkpoint()
        return function(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DaemonWorker, "run", run)
        yield
