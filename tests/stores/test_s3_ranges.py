"""Ranges after the first skip botocore's pipeline: signed just as well, and explained by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncpipe.errors import AccessDeniedError, ObjectMissingError
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3.wire import signed_again
from asyncpipe.stores.s3.wire.signed_again import SignedAgain
from tests.s3_standin.faults import Kind, Rule
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import AWS, TEXT, opened, payload, read_all

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
    learn = SignedAgain._learn

    def counted(self: SignedAgain, about: tuple[str, str, None], request: object) -> None:
        asked.append(about[1].removeprefix("p/"))
        learn(self, about, request)

    monkeypatch.setattr(SignedAgain, "_learn", counted)
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
        Rule(kind=Kind.LOST_ANSWER, operation="GetObject", skip=2),
    ],
    ids=["slow-down", "cut"],
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


async def test_credentials_that_expire_between_two_ranges_are_looked_up_again(
    standin: StandIn, tmp_path: Path
) -> None:
    def hand_out(token: str) -> None:
        access_key, secret_key = next(iter(standin.keys.items()))
        keys = f"aws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
        (tmp_path / "keys").write_text(f"[images]\n{keys}aws_session_token = {token}\n")

    hand_out("old")
    environment = {
        "AWS_ENDPOINT_URL_S3": standin.endpoint_url,
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys"),
        "AWS_PROFILE": "images",
    }
    async with open_store(standin.destination, environment=environment, options=AWS) as store:
        await store.put(NAME, BODY, content_type=TEXT)
        await read_all(store, NAME, offset_bytes=5, size_bytes=5)
        hand_out("new")
        standin.token_parts["old"] = 0
        assert await _in_ranges(store) == BODY
    refused = [request for request in standin.seen("GetObject") if request.status == 400]
    assert len(refused) == 1, "the refusal is not asked for twice"


async def test_what_a_store_refuses_is_explained_as_for_the_first_range(standin: StandIn) -> None:
    async with opened(standin) as store:
        await store.put(NAME, BODY, content_type=TEXT)
        await read_all(store, NAME, offset_bytes=5, size_bytes=5)
        refusal = Rule(kind=Kind.ERROR, operation="GetObject", code="AccessDenied")
        standin.faults.add(refusal)
        with pytest.raises(AccessDeniedError):
            await read_all(store, NAME, offset_bytes=5, size_bytes=5)
        await store.delete(NAME)
        with pytest.raises(ObjectMissingError):
            await read_all(store, NAME, offset_bytes=5, size_bytes=5)


async def test_the_requests_of_a_few_objects_are_kept_and_no_more(
    standin: StandIn, botocore_asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed_again, "_MOST_KNOWN", 2)
    async with opened(standin) as store:
        for name in ("a", "b", "c"):
            await store.put(name, BODY, content_type=TEXT)
            assert await _in_ranges(store, name) == BODY
        assert await _in_ranges(store, "a") == BODY
    assert botocore_asked == ["a", "b", "c", "a"]
