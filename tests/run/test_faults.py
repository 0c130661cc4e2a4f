"""One fault at every call of one template: the other is published, and no version is half there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncpipe.model.publication import Failed, Published
from asyncpipe.report import exit_code
from tests.run.faults import (
    CANCELLED,
    CANCELLED_LATE,
    ERRNOS,
    LOST,
    ROUTES,
    STAYS,
    Result,
    Workshop,
    half_visible,
)
from tests.run.services import xva_bytes

LEAST_SITES = 150


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return xva_bytes(tmp_path_factory.mktemp("image"), 2 << 20)


@pytest.fixture(params=ROUTES)
def workshop(request: pytest.FixtureRequest, tmp_path: Path, image: bytes) -> Workshop:
    return Workshop(tmp_path, image, str(request.param))


def sites(workshop: Workshop) -> list[str]:
    """Name every call of the victim in a run in which nothing fails."""
    result = workshop.run()
    assert all(isinstance(outcome, Published) for outcome in result.outcomes), result.outcomes
    assert half_visible(result.store) == []
    return result.faults.sites


def distinct(names: list[str]) -> list[tuple[int, str]]:
    """Number the calls, less most of the polls: of many equal ones the first and the last count."""
    seen: Counter[str] = Counter()
    total = Counter(names)
    chosen = []
    for at, name in enumerate(names):
        seen[name] += 1
        if seen[name] <= 6 or seen[name] > total[name] - 2:
            chosen.append((at, name))
    return chosen


def wrong_after_fault(result: Result) -> Iterator[str]:
    """Say what a user would hold against a run in which one template met a fault."""
    victim, neighbour = result.outcomes
    if not isinstance(neighbour, Published):
        yield f"the neighbour failed: {neighbour.error}"
    if result.neighbour_signals:
        yield f"the neighbour's Packer got {result.neighbour_signals}"
    expected = 4 if isinstance(victim, Failed) else 0
    if exit_code.of(result.outcomes, template_count=2) != expected:
        yield "the exit code is wrong"
    if isinstance(victim, Failed) and not victim.error:
        yield "nothing says what went wrong"
    yield from wrong_at_the_store(result)


def wrong_after_cancel(result: Result) -> Iterator[str]:
    if not result.was_cancelled and not result.outcomes:
        yield "the cancellation became something else"
    yield from wrong_at_the_store(result)


def wrong_at_the_store(result: Result) -> Iterator[str]:
    yield from half_visible(result.store)
    if result.budget.buffers.in_use_bytes:
        yield "buffers were lost"


def faults_of(workshop: Workshop, hows: tuple[str, ...], *, only: str = "") -> list[str]:
    """Inject one of ``hows``, in turn, at each call; describe what went wrong."""
    wrong = []
    for turn, (at, name) in enumerate(distinct(sites(workshop))):
        if not name.startswith(only):
            continue
        how = hows[turn % len(hows)]
        where = f"{how} at call {at}, {name}"
        try:
            result = workshop.run(at, how)
        except Exception as error:  # noqa: BLE001 - whatever left the matrix is a finding
            wrong.append(f"{where}: left the matrix: {error!r}")
            continue
        check = wrong_after_cancel if how in {CANCELLED, CANCELLED_LATE} else wrong_after_fault
        wrong += [f"{where}: {what}" for what in check(result)]
    return wrong


def test_the_generator_finds_every_kind_of_call(tmp_path: Path, image: bytes) -> None:
    found = [
        name
        for route in ROUTES
        for _, name in distinct(sites(Workshop(tmp_path / route, image, route)))
    ]
    assert len(found) >= LEAST_SITES, len(found)
    for port in ("store.put", "store.complete_upload", "log.write", "process.receive", "file."):
        assert any(name.startswith(port) for name in found), port


def test_what_the_system_refuses_to_one_template_is_its_own_failure(workshop: Workshop) -> None:
    assert faults_of(workshop, (*ERRNOS, STAYS)) == []


def test_a_lost_answer_of_the_store_leaves_no_half_version(workshop: Workshop) -> None:
    assert faults_of(workshop, (LOST,), only="store.") == []


def test_a_cancellation_at_any_call_leaves_no_half_version(workshop: Workshop) -> None:
    assert faults_of(workshop, (CANCELLED, CANCELLED_LATE)) == []


@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("how", [*ERRNOS, STAYS, CANCELLED, CANCELLED_LATE])
def test_every_fault_at_every_call(workshop: Workshop, how: str) -> None:
    assert faults_of(workshop, (how,)) == []
