"""Those with whom a build deals at its host: the host itself, and what reports about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from asyncpipe.ports import Pool

OpenPool = Callable[[], AbstractAsyncContextManager[Pool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildHost:
    """The host of a build: its address and how to log in."""

    address: str
    open: OpenPool
    end_session: Callable[[str], Awaitable[None]]  # by its reference; bounded, raises nothing


class Reports(Protocol):
    """Who is informed of the host's side of a build."""

    async def note_host(self, **changes: object) -> None:
        """Write to the journal."""
        ...

    def warn(self, code: str, message: str) -> None:
        """Emit and keep a warning."""
        ...

    def on_waiting(self, what: str, limit_s: float) -> None:
        """Say what is waited for, and for how long at most."""
        ...
