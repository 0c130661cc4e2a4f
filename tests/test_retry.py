"""The one policy of retries: how often, how long in between, when to give up."""

from __future__ import annotations

import math

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.errors import CredentialsExpiredError, TransientStoreError, UploadError
from asyncpipe.retry import Retries, RetryPolicy, repeated

CLOCK = ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0.0)})
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"]),
]


class Flaky:
    """A call that fails a number of times."""

    def __init__(self, failures: float, error: UploadError | None = None) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error or TransientStoreError("503")

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return self.calls


async def test_a_call_is_repeated_until_it_works() -> None:
    call = Flaky(3)
    assert await repeated(call, RetryPolicy(attempts=4)) == 4


async def test_the_last_error_is_raised_after_the_last_attempt() -> None:
    call = Flaky(math.inf)
    with pytest.raises(TransientStoreError, match="503"):
        await repeated(call, RetryPolicy(attempts=4))
    assert call.calls == 4


@pytest.mark.parametrize("error", [UploadError("refused"), CredentialsExpiredError("expired")])
async def test_what_no_repetition_heals_is_not_repeated(error: UploadError) -> None:
    call = Flaky(math.inf, error)
    with pytest.raises(UploadError):
        await repeated(call, RetryPolicy(), unless=CredentialsExpiredError)
    assert call.calls == 1


async def test_no_attempt_begins_after_the_limit() -> None:
    call = Flaky(math.inf)
    policy = RetryPolicy(attempts=math.inf, base_s=10.0, cap_s=10.0, jitter=0.0, limit_s=35.0)
    began_s = anyio.current_time()
    with pytest.raises(TransientStoreError):
        await repeated(call, policy)
    assert call.calls == 4
    assert anyio.current_time() - began_s == pytest.approx(30.0)


async def test_progress_begins_a_new_count() -> None:
    retries, error = Retries(RetryPolicy(attempts=2)), TransientStoreError("reset")
    for _ in range(5):
        await retries.pause(error)
        retries.restart()
    await retries.pause(error)
    with pytest.raises(TransientStoreError):
        await retries.pause(error)


@given(attempt=st.integers(1, 5000), random=st.floats(0, 1, exclude_max=True))
def test_pauses_double_up_to_the_cap_and_never_vanish(
    anyio_backend: object, attempt: int, random: float
) -> None:
    policy = RetryPolicy(base_s=0.5, cap_s=20.0, jitter=0.5)
    pause_s = policy.pause_s(attempt, random)
    longest_s = min(20.0, 0.5 * 2.0 ** min(attempt - 1, 16))
    assert longest_s / 2 <= pause_s <= longest_s
