"""What takes longer than a moment is said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio

_SLOW_S: Final = 2.0


@asynccontextmanager
async def told_when_slow(
    tell: Callable[[str, float], None], what: str, limit_s: float
) -> AsyncIterator[None]:
    """Say what is waited for and how long at most, unless it is done in a moment."""

    async def later() -> None:
        await anyio.sleep(_SLOW_S)
        tell(what, limit_s - _SLOW_S)

    async with anyio.create_task_group() as tasks:
        if limit_s > _SLOW_S:
            tasks.start_soon(later)
        yield
        tasks.cancel_scope.cancel()
