"""Write metadata.json, the commit mark: once, and with a lost answer settled."""

from __future__ import annotations

import json

import anyio

from asyncpipe.errors import (
    DestinationTakenError,
    ObjectMissingError,
    TransientStoreError,
    UploadError,
)
from asyncpipe.model.store import ObjectInfo
from asyncpipe.model.transfer import PublishedObject
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, RetryPolicy, repeated
from asyncpipe.run.publishing.attest import JSON_TYPE, small_object

_MAX_METADATA_BYTES = 16 * 1024 * 1024
_COMMIT_S = 4.0  # how long a cancelled step waits for the answer to metadata.json


class Commit:
    """The write of metadata.json; a cancellation waits a little for its answer."""

    def __init__(self, store: ObjectStore, key: str, retry: RetryPolicy) -> None:
        self.url = store.url_of(key)
        self._store = store
        self._key = key
        self._retry = retry
        self._begun = False
        self._written: PublishedObject | None = None
        self._error: Exception | None = None

    @property
    def may_be_visible(self) -> bool:
        """True unless nothing was sent, or the store refused it for certain."""
        refused = isinstance(self._error, UploadError) and not isinstance(
            self._error, TransientStoreError
        )
        return self._begun and not refused

    @property
    def is_unknown(self) -> bool:
        """True if nobody knows whether it is there."""
        return self.may_be_visible and self._written is None

    async def standing(self, body: bytes) -> bytes:
        """Return what an interrupted run of this very version had written, else ``body``.

        Raises:
            DestinationTakenError: another version stands there.
        """
        try:
            stored = await repeated(
                lambda: self._store.get(self._key, max_bytes=_MAX_METADATA_BYTES), self._retry
            )
        except ObjectMissingError:
            return body
        _require_ours(stored.body, body, self.url)
        self._begun = True
        return stored.body

    async def write(self, body: bytes) -> PublishedObject:
        """Write it; raises what that failed with, or the cancellation once the answer is known."""
        self._begun = True
        scope = anyio.CancelScope(shield=True)
        ended = anyio.Event()

        async def run() -> None:
            try:
                with scope:
                    self._written = await put_once(self._store, self._key, body, self._retry)
            except Exception as error:  # noqa: BLE001 - raised below, in the caller's task
                self._error = error
            finally:
                ended.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            try:
                await ended.wait()
            except anyio.get_cancelled_exc_class():
                scope.deadline = anyio.current_time() + _COMMIT_S
                raise
        if self._error is not None:
            raise self._error
        assert self._written is not None
        return self._written


async def put_once(
    store: ObjectStore,
    key: str,
    body: bytes,
    retry: RetryPolicy,
    *,
    content_type: str = JSON_TYPE,
) -> PublishedObject:
    """Create a small object, settling a lost answer by looking at what is there.

    Raises:
        DestinationTakenError: another object exists there.
        TransientStoreError: whether it was stored is not known.
    """
    retries = Retries(retry)
    while True:
        try:
            info = await store.put(key, body, content_type=content_type, create_only=True)
        except DestinationTakenError:
            info = await _ours(store, key, body)
        except TransientStoreError as error:
            try:
                info = await _ours(store, key, body)
            except (ObjectMissingError, TransientStoreError):
                await retries.pause(error)
                continue
        return small_object(store, key, body, info)


async def _ours(store: ObjectStore, key: str, body: bytes) -> ObjectInfo:
    stored = await store.get(key, max_bytes=_MAX_METADATA_BYTES)
    _require_ours(stored.body, body, store.url_of(key))
    return stored.info


def _require_ours(theirs: bytes, ours: bytes, url: str) -> None:
    if theirs != ours and not _names_same_files(theirs, ours):
        raise DestinationTakenError(
            f"{url} already exists and is another object.",
            hint="Each run has a timestamp of its own; start a new run.",
        )


def _names_same_files(theirs: bytes, ours: bytes) -> bool:
    """Whether an interrupted run of this very version had written it: same digests."""
    try:
        files = json.loads(theirs)["files"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(files) and files == json.loads(ours).get("files")
