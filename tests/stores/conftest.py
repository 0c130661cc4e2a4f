"""A strict stand-in that takes small parts, and a store over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from asyncpipe.ports import ObjectStore
from tests.s3_standin.profiles import PROFILES
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import opened


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with running_standin(profile=replace(PROFILES["strict"], min_part_bytes=1)) as standin:
        yield standin


@pytest.fixture
async def store(standin: StandIn) -> AsyncIterator[ObjectStore]:
    async with opened(standin) as store:
        yield store
