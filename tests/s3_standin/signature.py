"""Verifies AWS Signature Version 4 as S3 documents it ("Authenticating requests")."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW_S = 15 * 60
_MAX_VALID_S = 7 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """What a request says of its own signature, in its headers or in its query."""

    key: str
    scope: str
    names: str
    signature: str
    stamp: str
    payload: str
    valid_s: int | None  # of a presigned address; None: of a request that is made now


def problem_of(
    method: str, target: str, headers: Mapping[str, str], keys: Mapping[str, str]
) -> str | None:
    """Return the S3 code of what is wrong with a request's signature, None when it is good."""
    claim = _in_query(target) if "X-Amz-Signature=" in target else _in_headers(headers)
    if claim is None:
        return "AccessDenied"
    if claim.key not in keys:
        return "InvalidAccessKeyId"
    try:
        signed_at = datetime.strptime(claim.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "AccessDenied"
    age_s = (datetime.now(UTC) - signed_at).total_seconds()
    if claim.valid_s is not None and not (
        0 < claim.valid_s <= _MAX_VALID_S and age_s <= claim.valid_s
    ):
        return "AccessDenied"
    if abs(age_s) > _SKEW_S and claim.valid_s is None:
        return "RequestTimeTooSkewed"
    expected = _signature(method, target, headers, claim, keys[claim.key])
    return None if hmac.compare_digest(expected, claim.signature) else "SignatureDoesNotMatch"


def _in_headers(headers: Mapping[str, str]) -> _Claim | None:
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        return None
    return _Claim(
        **match.groupdict(),
        stamp=headers.get("x-amz-date", ""),
        payload=headers.get("x-amz-content-sha256", ""),
        valid_s=None,
    )


def _in_query(target: str) -> _Claim | None:
    """ "Authenticating requests: using query parameters"."""
    query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
    key, _, scope = query.get("X-Amz-Credential", "").partition("/")
    valid = query.get("X-Amz-Expires", "")
    if query.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" or not valid.isdecimal():
        return None
    return _Claim(
        key=key,
        scope=scope,
        names=query.get("X-Amz-SignedHeaders", ""),
        signature=query["X-Amz-Signature"],
        stamp=query.get("X-Amz-Date", ""),
        payload="UNSIGNED-PAYLOAD",
        valid_s=int(valid),
    )


def _signature(
    method: str, target: str, headers: Mapping[str, str], claim: _Claim, secret: str
) -> str:
    parts = urlsplit(target)
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name != "X-Amz-Signature"
    )
    names = claim.names.split(";")
    canonical = "\n".join(
        [
            method,
            parts.path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names),
            "",
            claim.names,
            claim.payload,
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{claim.stamp}\n{claim.scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for step in claim.scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
