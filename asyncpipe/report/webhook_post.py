"""Posts the message of a finished run; a chat that does not answer never fails a build."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

_TIMEOUT_S = 10.0


async def post(url: str, payload: Mapping[str, object]) -> str:
    """Post ``payload`` as JSON; return "" when it was taken, else one sentence saying why not.

    TLS certificates are checked, redirects are not followed, 10 seconds bound it all. The address
    is a secret: it occurs in no message, and foreign errors (which would name it) are not quoted.
    """
    if not url.lower().startswith(("https://", "http://")):
        return "The webhook was not called: its address is not an http(s) URL."
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.post(url, json=dict(payload), allow_redirects=False) as response,
        ):
            if response.status // 100 == 2:
                return ""
            return f"The webhook answered {response.status}; it did not take the message."
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"The webhook could not be called ({_kind(error)}); no message was sent."


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT_S:.0f} seconds"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its TLS certificate was refused"
    return "no connection" if isinstance(error, aiohttp.ClientConnectorError) else "bad exchange"
