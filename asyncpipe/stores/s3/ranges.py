"""Further ranges of an object: the request that botocore built for the first one, signed anew.

botocore takes 1 ms to build, route and parse a GET; only its range, time and signature differ from
those of the range before. Whatever is not a plain answer with the bytes asked for is left to
botocore, which asks again and explains what it gets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

_SCOPE: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=[^,]+/\d{8}/([^/,]+)/s3/aws4_request,")
# with the x-amz-* of the first request; those of the signer are made anew
_KEPT: Final = frozenset({"user-agent", "accept-encoding"})
_SIGNED_ANEW: Final = frozenset({"x-amz-date", "x-amz-security-token", "x-amz-content-sha256"})
_MOST_KEYS: Final = 16
_PARTIAL_CONTENT: Final = 206


class RangeRequests:
    """Asks for a range of an object of which botocore has already got one."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[str, _Request] = {}

    def learn(self, key: str, body: Any) -> None:
        """Remember the request that ``body`` answers."""
        info: aiohttp.RequestInfo = body.request_info
        found = _SCOPE.match(info.headers.get("Authorization", ""))
        if found is None or key in self._known:
            return
        while len(self._known) >= _MOST_KEYS:
            self._known.pop(next(iter(self._known)))
        self._known[key] = _Request(info, region=found[1])

    async def get(self, key: str, byte_range: str) -> Mapping[str, Any] | None:
        """Ask for a range once; the answer as botocore words it, or None: it has to ask itself.

        Raises:
            BotoCoreError, aiohttp.ClientError, OSError: nobody answered.
        """
        known = self._known.get(key)
        if known is None:
            return None
        credentials = await self._client.credentials.get_frozen_credentials()
        signed = known.signed(byte_range, credentials)
        sent = await self._client.raw._endpoint.http_session.send(signed)  # noqa: SLF001
        body: aiohttp.ClientResponse = sent.raw
        if body.status == _PARTIAL_CONTENT:
            return {"Body": body, "ContentRange": body.headers.get("Content-Range", "")}
        body.close()
        self._known.pop(key, None)
        return None


class _Request:
    """A GET without its range and signature."""

    def __init__(self, info: aiohttp.RequestInfo, *, region: str) -> None:
        self._url = str(info.url)
        self._region = region
        self._headers = {
            name: value
            for name, value in info.headers.items()
            if name.lower() in _KEPT
            or (name.lower().startswith("x-amz-") and name.lower() not in _SIGNED_ANEW)
        }

    def signed(self, byte_range: str, credentials: Any) -> Any:
        """Return it for a range, signed by ``credentials``."""
        request = AWSRequest("GET", self._url, {**self._headers, "Range": byte_range})
        request.stream_output = True
        S3SigV4Auth(credentials, "s3", self._region).add_auth(request)
        return request.prepare()
