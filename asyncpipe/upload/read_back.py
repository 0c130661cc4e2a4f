"""Read an object back and compare it, where the store itself proves nothing."""

from __future__ import annotations

from asyncpipe.errors import TransientStoreError
from asyncpipe.model.store import crc64nvme_base64
from asyncpipe.model.transfer import FileDigests
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, RetryPolicy
from asyncpipe.system.crc import crc64nvme


async def differences(
    store: ObjectStore, key: str, digests: FileDigests, policy: RetryPolicy
) -> list[str]:
    """Read the whole object, going on where a connection was lost; say what differs.

    Raises:
        UploadError: the object cannot be read.
    """
    crc, read_bytes = 0, 0
    retries = Retries(policy)
    while read_bytes < digests.size_bytes:
        before_bytes = read_bytes
        try:
            async with store.stream(key, offset_bytes=read_bytes) as pieces:
                async for piece in pieces:
                    crc = crc64nvme(piece, crc)
                    read_bytes += len(piece)
                    if read_bytes > digests.size_bytes:
                        return [f"it has more than the {digests.size_bytes} bytes that were sent"]
            if read_bytes < digests.size_bytes:
                return [f"it ends after {read_bytes} of {digests.size_bytes} bytes"]
        except TransientStoreError as error:
            if read_bytes > before_bytes:
                retries.restart()
            await retries.pause(error)
    found = crc64nvme_base64(crc)
    if found == digests.crc64nvme_base64:
        return []
    return [f"read back, its CRC64NVME is {found}, sent was {digests.crc64nvme_base64}"]
