"""One S3 client that a class of tests shares: opening them takes most of a small test's time."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.stores.s3.session import S3Client, open_client
from asyncpipe.stores.s3.store import S3Store


def shared_client(environment: Mapping[str, str]) -> AbstractAsyncContextManager[S3Client]:
    """Open the client of one server."""
    return open_client(environment, StoreOptions())


async def fresh_store(client: S3Client, bucket: str, profile: StoreProfile) -> S3Store:
    """A store below a prefix of its own, probed."""
    options = StoreOptions(profile=profile)
    prefix = f"{secrets.token_hex(4)}/p/"
    store = S3Store(client, bucket=bucket, prefix=prefix, options=options)
    await store.probe()
    return store
