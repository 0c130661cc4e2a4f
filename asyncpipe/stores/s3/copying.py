"""UploadPartCopy: the endpoint itself copies a range of an object; no byte of it comes by here."""

from __future__ import annotations

from asyncpipe.model.store import StoredPart, UploadHandle
from asyncpipe.stores.s3.answers import stored_part
from asyncpipe.stores.s3.calls import S3Calls


async def copy_part(
    calls: S3Calls,
    source: S3Calls,
    handle: UploadHandle,
    number: int,
    *,
    offset_bytes: int,
    size_bytes: int,
) -> StoredPart | None:
    """Make a range of the object of the upload's key at ``source`` a part; None: elsewhere.

    One attempt, as with a part that is sent; raises UploadErrors.
    """
    if not await calls.is_beside(source):
        return None
    answer = await calls.call(
        "complete",  # whose client waits long
        "upload_part_copy",
        handle.key,
        UploadId=handle.upload_id,
        PartNumber=number,
        CopySource=source.copy_source(handle.key),
        CopySourceRange=f"bytes={offset_bytes}-{offset_bytes + size_bytes - 1}",
    )
    result = answer["CopyPartResult"]
    return stored_part({**result, "PartNumber": number, "Size": size_bytes})
