"""One call of botocore, joined in at two points: the body that it sends, the answer that it gets.

The handlers belong to the client; a `ContextVar` says which call of which task they join.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What a call of botocore gets from us, and the request that it made of it."""

    body: bytes | None = None  # instead of the one that botocore serialized; signed as usual
    answer: Any = None  # AioAWSResponse: explained once instead of sending the request
    request: Any = None  # AWSPreparedRequest: the last one, signed


_PRESENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)
_ID: Final = "asyncpipe-exchange"
_LISTED: Final = "CompleteMultipartUpload"  # not what botocore may ask beside it, such as a region


def join_calls(client: Any) -> None:
    """Let `exchanging` take part in the calls of a client of aiobotocore; once is enough."""
    events = client.meta.events
    events.register_last(f"before-call.s3.{_LISTED}", _replace_body, unique_id=f"{_ID}-body")
    events.register_first("before-send.s3", _answer, unique_id=f"{_ID}-answer")


@contextmanager
def exchanging(*, body: bytes | None = None, answer: Any = None) -> Iterator[Exchange]:
    """Join the calls that this task makes inside the block."""
    exchange = Exchange(body=body, answer=answer)
    token = _PRESENT.set(exchange)
    try:
        yield exchange
    finally:
        _PRESENT.reset(token)


def _replace_body(params: dict[str, Any], **_: Any) -> None:
    exchange = _PRESENT.get()
    if exchange is not None and exchange.body is not None:
        params["body"] = exchange.body


def _answer(request: Any, **_: Any) -> Any:
    """Return an answer that was received already; botocore sends the request where this is None."""
    exchange = _PRESENT.get()
    if exchange is None:
        return None
    exchange.request = request
    answer, exchange.answer = exchange.answer, None
    return answer
