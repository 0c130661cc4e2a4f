"""A destination's URL -> an open ObjectStore."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from asyncpipe.errors import UsageError
from asyncpipe.model.store import StoreOptions
from asyncpipe.model.store_keys import checked_key
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.text.safe import printable, without_userinfo

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_HINT = "Use s3://BUCKET/PREFIX, file:///FOLDER or a folder's path."


@asynccontextmanager
async def open_store(
    url: str, *, environment: Mapping[str, str], options: StoreOptions | None = None
) -> AsyncIterator[ObjectStore]:
    """Open ``s3://bucket/prefix``, ``file:///folder`` or a folder's path; call ``probe`` next.

    Raises:
        UsageError: another kind of URL, no credentials, or settings that cannot be used.
    """
    if not url.startswith("s3://"):
        yield DirectoryStore(folder_of(url))
        return
    bucket, prefix = bucket_and_prefix(url)
    # botocore takes 0.2 s to import, which a folder need not wait for
    from asyncpipe.stores.s3.session import endpoint_of, open_client  # noqa: PLC0415
    from asyncpipe.stores.s3.store import S3Store  # noqa: PLC0415

    wanted = options or StoreOptions()
    _refuse_bucket_twice(endpoint_of(environment, wanted) or "", bucket)
    async with open_client(environment, wanted) as client:
        yield S3Store(client, bucket=bucket, prefix=prefix, options=wanted)


def _refuse_bucket_twice(endpoint_url: str, bucket: str) -> None:
    """R2's console shows ``https://HOST/BUCKET``: objects would go to BUCKET/BUCKET/PREFIX."""
    path = urlsplit(endpoint_url).path.rstrip("/")
    if path.rpartition("/")[2] == bucket:
        shorter = printable(without_userinfo(endpoint_url.rstrip("/").removesuffix(f"/{bucket}")))
        raise UsageError(
            f"The endpoint ends in /{bucket}, the bucket that the destination names already.",
            hint=f"AWS_ENDPOINT_URL_S3={shorter}",
        )


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Split ``s3://bucket/prefix``; the prefix ends in a slash or is empty; UsageError."""
    bucket, _, rest = url.removeprefix("s3://").partition("/")
    prefix = rest.strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{url[:200]!r} does not name a bucket.", hint=_HINT)
    if prefix:
        checked_key(prefix)
    return bucket, f"{prefix}/" if prefix else ""


def folder_of(url: str) -> Path:
    """Return the folder that a ``file:`` URL or a path names; UsageError."""
    if not url or "\0" in url:
        raise UsageError("The destination is empty.", hint=_HINT)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
        return Path(url)
    parts = urlsplit(url)
    local = parts.scheme == "file" and parts.netloc in {"", "localhost"}
    if not local or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise UsageError(f"{url[:200]!r} is not a destination.", hint=_HINT)
    return Path(unquote(parts.path))
