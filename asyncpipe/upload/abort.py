"""Drop an upload, and make sure that it is gone."""

from __future__ import annotations

import math
from dataclasses import replace

import anyio

from asyncpipe.errors import (
    NotSupportedError,
    TransientStoreError,
    UploadError,
    UploadMissingError,
)
from asyncpipe.model.store import UploadHandle
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries


async def abort_until_gone(
    store: ObjectStore, handle: UploadHandle, options: TransferOptions
) -> str | None:
    """Abort until the store no longer knows the upload: parts in flight may land after an abort.

    Shielded and bounded by ``abort_timeout_s``. Returns None when it is gone, else the sentence
    that a person needs.
    """
    whys = [f"the store did not answer within {options.abort_timeout_s:g} s"]
    with anyio.move_on_after(options.abort_timeout_s, shield=True):
        try:
            await _abort(store, handle, options, whys)
        except (UploadMissingError, NotSupportedError):
            return None  # it knows no list of parts, and took the abort
        except UploadError as error:
            whys.append(error.message)
    return (
        f"upload {handle.upload_id} of {store.url_of(handle.key)} could not be removed"
        f" ({whys[-1].rstrip('.')}); its parts are billed until"
        f" `asyncpipe reap --older-than 0s --destination {store.url}` removes it,"
        " run while no other upload is at work there"
    )


async def _abort(
    store: ObjectStore, handle: UploadHandle, options: TransferOptions, whys: list[str]
) -> None:
    """Repeat abort and look; ends only by an exception, the good one is UploadMissingError.

    The last of ``whys`` is why the last attempt failed: the deadline around this does not say.
    """
    own = options.retry  # repeated quickly and without end: the deadline around this ends it
    quick = replace(own, attempts=math.inf, base_s=min(0.2, own.base_s), cap_s=min(2.0, own.cap_s))
    retries = Retries(quick)
    while True:
        try:
            await store.abort_upload(handle)
            await store.list_parts(handle)
        except TransientStoreError as error:
            problem: UploadError = error
        else:
            problem = UploadError(f"the store still listed it after {options.abort_timeout_s:g} s")
        whys[1:] = [problem.message]
        await retries.pause(problem)
