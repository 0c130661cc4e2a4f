"""One call of S3: in one bucket, below one prefix, with errors and credentials taken care of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import aiohttp
import anyio
from botocore.exceptions import BotoCoreError, ClientError

from asyncpipe.errors import CredentialsExpiredError, UploadError
from asyncpipe.model.store import StoredPart, UploadHandle
from asyncpipe.model.store_keys import checked_key
from asyncpipe.retry import RetryPolicy, repeated
from asyncpipe.stores.s3.answers import stored_part
from asyncpipe.stores.s3.errors import code_of, translated
from asyncpipe.stores.s3.session import S3Client
from asyncpipe.stores.s3.wire.memory import Blocks
from asyncpipe.stores.s3.wire.signed_again import SignedAgain

FOREIGN = (BotoCoreError, ClientError, aiohttp.ClientError, OSError)
# of calls that may be repeated without harm; long enough for a server that restarts
SMALL_CALLS: Final = RetryPolicy(attempts=5)
ANSWER_S: Final = 120.0  # of one call; a byte a second would reset the socket's own limit for ever
_BOUNDED_ELSEWHERE: Final = {
    "upload_part",  # by the progress that `upload` demands
    "complete_multipart_upload",  # by the caller's limit
}


class S3Calls:
    """What an `S3Store` asks its endpoint by; keys are relative to the prefix."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self.prefix = prefix
        self.blocks = Blocks()  # that large answers are received into
        self._again = SignedAgain(client)
        self._proven = False  # the endpoint has answered, whatever it said

    @property
    def url(self) -> str:
        """``s3://bucket/prefix/``."""
        return f"s3://{self._bucket}/{self.prefix}"

    def url_of(self, key: str) -> str:
        """The ``s3://`` URL of an object."""
        return self.url + key

    async def copy_part(
        self,
        source: S3Calls,
        handle: UploadHandle,
        number: int,
        *,
        offset_bytes: int,
        size_bytes: int,
    ) -> StoredPart | None:
        """Let the endpoint make a range of the upload's key at ``source`` a part (UploadPartCopy).

        None: ``source`` is elsewhere. One attempt, as with a part that is sent.
        """
        if not await self._is_beside(source):
            return None
        answer = await self.call(
            "once",
            "upload_part_copy",
            handle.key,
            UploadId=handle.upload_id,
            PartNumber=number,
            CopySource={"Bucket": source._bucket, "Key": source.prefix + checked_key(handle.key)},
            CopySourceRange=f"bytes={offset_bytes}-{offset_bytes + size_bytes - 1}",
        )
        result = answer["CopyPartResult"]
        return stored_part({**result, "PartNumber": number, "Size": size_bytes})

    async def _is_beside(self, other: S3Calls) -> bool:
        """Whether both are one endpoint that is asked with the same credentials."""
        mine, theirs = self._client, other._client
        return mine.endpoint == theirs.endpoint and (
            await mine.credentials.fingerprint() == await theirs.credentials.fingerprint()
        )

    async def presigned(self, operation: str, key: str, expires_s: int) -> str:
        """Sign a request for somebody else to make; nothing is sent."""
        parameters = {"Bucket": self._bucket, "Key": self.prefix + checked_key(key)}
        signed: str = await self._client.raw.generate_presigned_url(
            operation, Params=parameters, ExpiresIn=expires_s
        )
        return signed

    async def of_bucket(self, operation: str) -> Any:
        """One attempt of a call about the bucket, foreign errors and all."""
        with anyio.fail_after(ANSWER_S):
            return await getattr(self._client.raw, operation)(Bucket=self._bucket)

    async def attempt(self, operation: str, key: str | None, /, **parameters: Any) -> Any:
        """One attempt of a raw call, foreign errors and all; for the probe."""
        return await self._raw(operation, key, parameters)

    async def _raw(self, operation: str, key: str | None, parameters: dict[str, Any]) -> Any:
        arguments = {"Bucket": self._bucket, **parameters}
        if key is not None:
            arguments["Key"] = self.prefix + checked_key(key)
        else:
            below = arguments.pop("prefix")  # None: the whole bucket
            arguments["Prefix"] = "" if below is None else self.prefix + below
        limit_s = None if operation in _BOUNDED_ELSEWHERE else ANSWER_S
        act = self._again.act(operation, arguments)
        with anyio.fail_after(limit_s):
            try:
                return await act(**arguments)
            except ClientError as error:
                expectation = self._client.expectation
                if not (operation == "upload_part" and expectation.is_sent and _unexpected(error)):
                    raise
                expectation.is_sent = False  # nothing of the body was sent yet
            return await act(**arguments)

    async def call(
        self, attempts: str, operation: str, key: str | None, /, **parameters: Any
    ) -> dict[str, Any]:
        """Call ``operation``; expired credentials are renewed once.

        ``attempts`` is ``once`` or ``small``: repeated while the store says that it may succeed
        later.

        Raises:
            UploadError: the class of what went wrong, from `stores.s3.errors`.
        """
        if attempts == "small":
            return await repeated(
                lambda: self.call("once", operation, key, **parameters),
                SMALL_CALLS,
                unless=CredentialsExpiredError,  # renewed already
            )
        used = await self._client.credentials.fingerprint()
        try:
            return await self._answered(operation, key, parameters)
        except CredentialsExpiredError:
            if not await self._client.credentials.renew(used):
                raise
        return await self._answered(operation, key, parameters)

    async def _answered(
        self, operation: str, key: str | None, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = await self._raw(operation, key, parameters)
        except FOREIGN as error:
            self._proven |= isinstance(error, ClientError)
            raise self.translated(error, operation, key, parameters) from error
        self._proven = True
        return answer

    def translated(
        self, error: Exception, operation: str, key: str | None, parameters: Collection[str] = ()
    ) -> UploadError:
        """A foreign error as one of ours, with the object's URL."""
        return translated(
            error,
            operation=operation,
            where=self.url_of(key or ""),
            parameters=parameters,
            proven=self._proven,
        )


def _unexpected(error: ClientError) -> bool:
    """Whether Expect may be what was refused: 417 says so, a bare 400 says nothing else."""
    status, code = code_of(error)
    return status == 417 or (status == 400 and code in {"", "400"})
