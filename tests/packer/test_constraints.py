"""Version constraints decide as go-version does, which Packer uses."""

from __future__ import annotations

import pytest

from asyncpipe.packer.constraints import allows, version_of


@pytest.mark.parametrize(
    ("constraint", "version", "answer"),
    [
        ("", "1.2.3", True),
        ("1.2.3", "1.2.3", True),
        ("= 1.2", "1.2.0", True),
        ("1.2", "1.2.1", False),
        ("!= 1.2.3", "1.2.3", False),
        ("> 1.9", "1.10", True),
        (">= v1.7.0", "1.7", True),
        ("<= 1.7", "1.7.1", False),
        ("< 2.0, >= 1.5", "1.16.0", True),
        ("< 2.0, >= 1.17", "1.16.0", False),
        ("~> 1.2.3", "1.2.9", True),
        ("~> 1.2.3", "1.2.2", False),
        ("~> 1.2.3", "1.3.0", False),
        ("~> 1.2", "1.9.5", True),
        ("~> 1.2", "2.0.0", False),
        ("~> 1", "3.0", True),
        (">= 1.0.0-beta", "1.0.0", True),
        ("=> 1.0", "1.0", None),
        ("latest", "1.0", None),
        (">= 1.0,", "1.0", None),
    ],
)
def test_a_constraint_decides(constraint: str, version: str, answer: bool | None) -> None:
    assert allows(constraint, version_of(version)) is answer


@pytest.mark.parametrize(
    ("text", "version"),
    [("v1.16.0-dev", (1, 16, 0)), ("0.11.4", (0, 11, 4)), ("none", ()), ("9" * 50, ())],
)
def test_a_version_is_its_numbers(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version
