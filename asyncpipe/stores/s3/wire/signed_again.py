"""Further ranges and parts of one object: the request that botocore built first, signed anew.

botocore takes 1 ms to check, build, route and parse each; only number, digest, time and signature
differ from those of the one before. An answer that is not a plain success is handed to botocore,
which explains it as if it had asked itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from typing import Any, Final

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from asyncpipe.stores.s3.wire.exchange import exchanging, join_calls

_SCOPE: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=[^,]+/\d{8}/([^/,]+)/s3/aws4_request,")
_PART_NUMBER: Final = re.compile(r"(?<=[?&]partNumber=)\d+(?=&|$)")
# made anew, or said of one request only; all others are kept
_OF_ONE_REQUEST: Final = frozenset(
    {
        *("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"),
        *("content-length", "content-md5", "range", "amz-sdk-invocation-id", "amz-sdk-request"),
        *("x-amz-checksum-crc64nvme", "x-amz-checksum-sha256"),
    }
)
# of a body that botocore encodes: nothing like it could be sent from here
_ENCODED: Final = frozenset({"x-amz-trailer", "transfer-encoding", "content-encoding"})
# arguments of botocore that differ from call to call, and their headers
_VARYING: Final = {
    "Range": "Range",
    "ChecksumCRC64NVME": "x-amz-checksum-crc64nvme",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "ContentMD5": "Content-MD5",
}
_SAID: Final = {
    "ETag": "etag",
    "ChecksumCRC64NVME": "x-amz-checksum-crc64nvme",
    "ChecksumSHA256": "x-amz-checksum-sha256",
}
_ADDRESS: Final = frozenset({"Bucket", "Key", "UploadId", "PartNumber", "Body"})
_UNDERSTOOD: Final = _ADDRESS | _VARYING.keys()
_MOST_KNOWN: Final = 16


class SignedAgain:
    """Requests by the object or upload that they are about, and the client that sends them."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[Hashable, _Pattern] = {}
        join_calls(client.raw)

    def act(self, operation: str, arguments: Mapping[str, Any]) -> Callable[..., Awaitable[Any]]:
        """Return what makes one attempt of a call, for botocore's ``arguments`` by name."""
        is_one_of_many = operation == "upload_part" or "Range" in arguments
        if operation in _PLAIN and is_one_of_many and arguments.keys() <= _UNDERSTOOD:
            return partial(self._call, operation)
        act: Callable[..., Awaitable[Any]] = getattr(self._client.raw, operation)
        return act

    async def _call(self, operation: str, **arguments: Any) -> Any:
        """Ask by the known request; without one, botocore asks, and its request is known then."""
        about = operation, arguments["Key"], arguments.get("UploadId")
        answer = None
        try:
            if (known := self._known.get(about)) is not None:
                answer = await self._sent(known, arguments)
                if (plain := await _PLAIN[operation](answer)) is not None:
                    return plain
        except BaseException:
            self._known.pop(about, None)
            raise
        self._known.pop(about, None)
        with exchanging(answer=answer) as exchange:
            explained = await getattr(self._client.raw, operation)(**arguments)
        self._learn(about, exchange.request)
        return explained

    async def _sent(self, known: _Pattern, arguments: Mapping[str, Any]) -> Any:
        """Send a request and return the ``AioAWSResponse``."""
        credentials = await self._client.credentials.get_frozen_credentials()
        request = known.signed(credentials, arguments, self._client.raw.meta.config)
        session = self._client.raw._endpoint.http_session  # noqa: SLF001 - it has no public name
        return await session.send(request.prepare())

    def _learn(self, about: Hashable, request: Any) -> None:
        found = _Pattern.of(request)
        if found is None or about in self._known:
            return
        while len(self._known) >= _MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[about] = found


class _Pattern:
    """A request of one object or upload, without its number, digest and signature."""

    def __init__(self, request: Any, headers: Mapping[str, str], region: str) -> None:
        self._method, self._url = request.method, str(request.url)
        self._streams = bool(request.stream_output)
        self._region = region
        self._headers = {
            name: value for name, value in headers.items() if name.lower() not in _OF_ONE_REQUEST
        }

    @classmethod
    def of(cls, request: Any) -> _Pattern | None:
        """Read a request that botocore signed; None where nothing like it can be made here."""
        headers = {name: _text(value) for name, value in request.headers.items()}
        found = _SCOPE.match(headers.get("Authorization", ""))
        if found is None or not _ENCODED.isdisjoint(name.lower() for name in headers):
            return None
        return cls(request, headers, found[1])

    def signed(self, credentials: Any, arguments: Mapping[str, Any], config: Any) -> AWSRequest:
        """Return the request of these ``arguments``, signed as botocore's ``config`` says."""
        headers = {_VARYING[name]: arguments[name] for name in arguments if name not in _ADDRESS}
        url = _PART_NUMBER.sub(str(arguments.get("PartNumber")), self._url)
        request = AWSRequest(
            self._method, url, {**self._headers, **headers}, arguments.get("Body", b"")
        )
        request.stream_output = self._streams
        request.context["client_config"] = config
        S3SigV4Auth(credentials, "s3", self._region).add_auth(request)
        return request


async def _plain_part(answer: Any) -> dict[str, Any] | None:
    """Read what the store says of a part, as botocore names it; None: not a plain success."""
    if answer.status_code != 200 or await answer.content:
        return None
    return {
        name: answer.headers[header] for name, header in _SAID.items() if header in answer.headers
    }


async def _plain_range(answer: Any) -> dict[str, Any] | None:
    if answer.status_code != 206:
        return None
    return {"Body": answer.raw, "ContentRange": answer.headers.get("content-range", "")}


_PLAIN: Final = {"upload_part": _plain_part, "get_object": _plain_range}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
