"""One call of S3: in one bucket, below one prefix, with errors and credentials taken care of."""

from __future__ import annotations

from typing import Any

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from asyncpipe.errors import CredentialsExpiredError, UploadError
from asyncpipe.model.store_keys import checked_key
from asyncpipe.retry import RetryPolicy, repeated
from asyncpipe.stores.s3.errors import translated
from asyncpipe.stores.s3.session import S3Clients

# of calls that may be repeated without harm
_SMALL_CALLS = RetryPolicy(attempts=4)

FOREIGN = (BotoCoreError, ClientError, aiohttp.ClientError, OSError)


class S3Calls:
    """What an `S3Store` asks its endpoint by; keys are relative to the prefix."""

    def __init__(self, clients: S3Clients, bucket: str, prefix: str) -> None:
        self._clients = clients
        self._bucket = bucket
        self.prefix = prefix

    @property
    def url(self) -> str:
        """``s3://bucket/prefix/``."""
        return f"s3://{self._bucket}/{self.prefix}"

    def url_of(self, key: str) -> str:
        """The ``s3://`` URL of an object."""
        return self.url + key

    async def of_bucket(self, operation: str) -> Any:
        """One attempt of a call about the bucket, foreign errors and all."""
        return await getattr(self._clients.once, operation)(Bucket=self._bucket)

    async def attempt(self, operation: str, key: str | None, /, **parameters: Any) -> Any:
        """One attempt of a raw call, foreign errors and all; for the probe."""
        return await self._raw("once", operation, key, parameters)

    async def _raw(
        self, client: str, operation: str, key: str | None, parameters: dict[str, Any]
    ) -> Any:
        arguments = {"Bucket": self._bucket, **parameters}
        if key is not None:
            arguments["Key"] = self.prefix + checked_key(key)
        else:
            arguments["Prefix"] = self.prefix + arguments.pop("prefix")
        return await getattr(getattr(self._clients, client), operation)(**arguments)

    async def call(
        self, client: str, operation: str, key: str | None, /, **parameters: Any
    ) -> dict[str, Any]:
        """Call ``operation``; expired credentials are renewed once.

        ``client`` is ``once``, ``complete`` (which waits long) or ``small``: ``once``, repeated
        while the store says that it may succeed later.

        Raises:
            UploadError: the class of what went wrong, from `stores.s3.errors`.
        """
        if client == "small":
            return await repeated(
                lambda: self.call("once", operation, key, **parameters),
                _SMALL_CALLS,
                unless=CredentialsExpiredError,  # renewed already
            )
        used = await self._clients.credentials.fingerprint()
        try:
            answer: dict[str, Any] = await self._raw(client, operation, key, parameters)
        except FOREIGN as error:
            failure = self.translated(error, operation, key, if_match="IfMatch" in parameters)
            if not isinstance(failure, CredentialsExpiredError):
                raise failure from error
            if not await self._clients.credentials.renew(used):
                raise failure from error
        else:
            return answer
        try:
            answer = await self._raw(client, operation, key, parameters)
        except FOREIGN as error:
            raise self.translated(
                error, operation, key, if_match="IfMatch" in parameters
            ) from error
        return answer

    def translated(
        self, error: Exception, operation: str, key: str | None, *, if_match: bool = False
    ) -> UploadError:
        """A foreign error as one of ours, told with the object's URL."""
        where = self.url_of(key or "")
        return translated(error, operation=operation, where=where, if_match=if_match)
