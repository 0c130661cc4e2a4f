"""Verifies AWS Signature Version 4 as S3 documents it ("Authenticating requests")."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW_S = 15 * 60


def problem_of(
    method: str, target: str, headers: Mapping[str, str], keys: Mapping[str, str]
) -> str | None:
    """Return the S3 code of what is wrong with a request's signature, None when it is good."""
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        return "AccessDenied"
    if match["key"] not in keys:
        return "InvalidAccessKeyId"
    stamp = headers.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "AccessDenied"
    if abs((datetime.now(UTC) - signed_at).total_seconds()) > _SKEW_S:
        return "RequestTimeTooSkewed"
    expected = _signature(method, target, headers, match, keys[match["key"]])
    return None if hmac.compare_digest(expected, match["signature"]) else "SignatureDoesNotMatch"


def _signature(
    method: str, target: str, headers: Mapping[str, str], match: re.Match[str], secret: str
) -> str:
    parts = urlsplit(target)
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    names = match["names"].split(";")
    canonical = "\n".join(
        [
            method,
            parts.path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names),
            "",
            match["names"],
            headers.get("x-amz-content-sha256", ""),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    stamp = headers["x-amz-date"]
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{match['scope']}\n{digest}"
    key = f"AWS4{secret}".encode()
    for step in match["scope"].split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
