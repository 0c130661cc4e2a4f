"""Ranges after the first skip botocore's pipeline: signed just as well, and explained by it."""

from __future__ import annotations

import pytest

from asyncpipe.errors import AccessDeniedError, ObjectMissingError
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.s3 import ranges
from tests.s3_standin.faults import Kind, Rule
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import TEXT, opened, payload, read_all

pytestmark = pytest.mark.anyio

BODY = payload(3_000_000)
STEP_BYTES = 500_000
NAME = "a b+c%2B ü~.xva"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def botocore_asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys whose ranges botocore asked for."""
    asked: list[str] = []
    learn = ranges.RangeRequests.learn

    def counted(self: ranges.RangeRequests, key: str, body: object) -> None:
        asked.append(key)
        learn(self, key, body)

    monkeypatch.setattr(ranges.RangeRequests, "learn", counted)
    return asked


async def _in_ranges(store: ObjectStore, name: str = NAME) -> bytes:
    span = range(0, len(BODY), STEP_BYTES)
    found = [await read_all(store, name, offset_bytes=at, size_bytes=STEP_BYTES) for at in span]
    return b"".join(found)


async def test_each_range_is_signed_and_only_the_first_costs_a_call_of_botocore(
    standin: StandIn, botocore_asked: list[str]
) -> None:
    async with opened(standin) as store:
        await store.put(NAME, BODY, content_type=TEXT)
        assert await _in_ranges(store) == BODY
    assert botocore_asked == [NAME]
    asked = standin.seen("GetObject")
    assert [request.status for request in asked] == [206] * 6, "the stand-in checks signatures"
    agents = {request.headers["user-agent"] for request in asked}
    assert len(agents) == 1
    assert "asyncpipe" in agents.pop()


async def test_a_session_token_is_sent_once_with_each_range(standin: StandIn) -> None:
    environment = {"AWS_SESSION_TOKEN": "the-token"}
    async with opened(standin, environment=environment) as store:
        await store.put(NAME, BODY, content_type=TEXT)
        assert await _in_ranges(store) == BODY
    tokens = [request.headers["x-amz-security-token"] for request in standin.seen("GetObject")]
    assert tokens == ["the-token"] * 6


@pytest.mark.parametrize(
    "rule",
    [
        Rule(kind=Kind.ERROR, operation="GetObject", skip=2, code="SlowDown"),
        Rule(kind=Kind.ERROR, operation="GetObject", skip=2, code="ExpiredToken"),
        Rule(kind=Kind.LOST_ANSWER, operation="GetObject", skip=2),
    ],
    ids=["slow-down", "expired", "cut"],
)
async def test_a_range_that_fails_is_asked_for_again_by_botocore(
    standin: StandIn, botocore_asked: list[str], rule: Rule
) -> None:
    standin.faults.add(rule)
    async with opened(standin) as store:
        await store.put(NAME, BODY, content_type=TEXT)
        assert await _in_ranges(store) == BODY
    assert rule.times == 0, "the fault was met"
    assert botocore_asked == [NAME, NAME]


async def test_what_a_store_refuses_is_explained_as_for_the_first_range(standin: StandIn) -> None:
    async with opened(standin) as store:
        await store.put(NAME, BODY, content_type=TEXT)
        await read_all(store, NAME, offset_bytes=5, size_bytes=5)
        refusal = Rule(kind=Kind.ERROR, operation="GetObject", code="AccessDenied", times=2)
        standin.faults.add(refusal)
        with pytest.raises(AccessDeniedError):
            await read_all(store, NAME, offset_bytes=5, size_bytes=5)
        await store.delete(NAME)
        with pytest.raises(ObjectMissingError):
            await read_all(store, NAME, offset_bytes=5, size_bytes=5)


async def test_the_requests_of_a_few_objects_are_kept_and_no_more(
    standin: StandIn, botocore_asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_MOST_KEYS", 2)
    async with opened(standin) as store:
        for name in ("a", "b", "c"):
            await store.put(name, BODY, content_type=TEXT)
            assert await _in_ranges(store, name) == BODY
        assert await _in_ranges(store, "a") == BODY
    assert botocore_asked == ["a", "b", "c", "a"]
