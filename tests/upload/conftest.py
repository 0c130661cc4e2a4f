"""Both event loops, and the pieces every upload test needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.retry import RetryPolicy
from asyncpipe.testing.store import MemoryStore
from tests.system.inline import disk_calls_inline

MIB = 1024 * 1024
KEY = "templates/debian12/20261123T170000Z/debian12.xva"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def target() -> Target:
    return Target(key=KEY, content_type="application/octet-stream", metadata={"origin": "test"})


@pytest.fixture
def options() -> TransferOptions:
    """Small parts, and pauses too short to notice."""
    return TransferOptions(
        max_memory_bytes=4 * MIB,
        part_size_bytes=MIB,
        abort_timeout_s=5.0,
        retry=RetryPolicy(attempts=4, base_s=0.001, cap_s=0.002),
    )


@pytest.fixture(autouse=True)
def _no_threads_beside_a_virtual_clock(request: pytest.FixtureRequest) -> Iterator[None]:
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    with ExitStack() as stack:
        if isinstance(parameters.get("anyio_backend"), tuple):
            stack.enter_context(disk_calls_inline())
        yield
