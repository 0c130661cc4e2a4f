from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.run.shares import Piece, duration_of, over_jobs

pieces = st.lists(
    st.builds(
        Piece,
        unit=st.text(alphabet="abcdef-", min_size=1, max_size=8),
        template=st.just("templates/x"),
        duration_s=st.floats(min_value=1, max_value=10_000),
    ),
    max_size=30,
    unique_by=lambda piece: piece.unit,
)


@given(pieces, st.integers(min_value=1, max_value=10))
def test_every_unit_is_built_once_and_no_job_is_idle(given_: list[Piece], count: int) -> None:
    plan = over_jobs(given_, count)
    units: list[str] = []
    for job in plan:
        assert isinstance(job["units"], list)
        units += job["units"]
    assert sorted(units) == sorted(piece.unit for piece in given_)
    assert len(plan) == min(count, len(given_))


@given(pieces, st.integers(min_value=1, max_value=10))
def test_no_job_has_more_than_the_mean_and_one_longest_unit(
    given_: list[Piece], count: int
) -> None:
    plan = over_jobs(given_, count)
    total_s = sum(piece.duration_s for piece in given_)
    longest_s = max((piece.duration_s for piece in given_), default=0)
    for job in plan:
        expected_s = job["expected_s"]
        assert isinstance(expected_s, int)
        assert expected_s <= total_s / count + longest_s + 1


def test_nothing_to_build_is_an_empty_list() -> None:
    assert over_jobs([], 3) == []


def test_past_durations_are_found_by_unit_then_by_system() -> None:
    known = {"debian-12": 60.0, "debian12": 90.0}
    assert duration_of("debian12", "debian-12", known) == 60.0
    assert duration_of("debian12", "debian-12-uefi", known) == 90.0
    assert duration_of("unknown-new", "new", known) == 1800.0
