"""S3 clients that a class of tests shares: opening them takes most of a small test's time."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.stores.s3.session import S3Clients, open_clients
from asyncpipe.stores.s3.store import S3Store


def shared_clients(environment: Mapping[str, str]) -> AbstractAsyncContextManager[S3Clients]:
    """Open the clients of one server."""
    return open_clients(environment, StoreOptions())


async def fresh_store(clients: S3Clients, bucket: str, profile: StoreProfile) -> S3Store:
    """A store below a prefix of its own, probed."""
    options = StoreOptions(profile=profile)
    prefix = f"{secrets.token_hex(4)}/p/"
    store = S3Store(clients, bucket=bucket, prefix=prefix, options=options)
    await store.probe()
    return store
