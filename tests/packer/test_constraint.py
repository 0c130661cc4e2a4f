from __future__ import annotations

import pytest

from asyncpipe.packer.release.constraint import parsed, satisfies


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [
        ("1.8.0", ">= 1.8.0", True),
        ("1.6.6", ">= 1.8.0", False),
        ("1.16.0", ">= 1.8.0", True),  # numbers, no text
        ("1.16.0", ">= 1.8, < 2", True),
        ("2.0.0", ">= 1.8, < 2", False),
        ("0.11.9", "~> 0.11.4", True),
        ("0.11.3", "~> 0.11.4", False),
        ("0.12.0", "~> 0.11.4", False),
        ("1.9.0", "~> 1.1", True),
        ("2.0.0", "~> 1.1", False),
        ("3.0.0", "~> 1", True),
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "= 1.2", False),
        ("1.2.0", "=1.2", True),
        ("1.2.3", "!= 1.2.3", False),
        ("1.10.0-dev", ">= 1.8.0", False),
        ("1.10.0-dev", ">= 1.10.0-a", True),
        ("1.2.3", "", True),
        ("1.2.3", "newest please", True),  # Packer refuses it itself, with the line
        ("unknown", ">= 1", False),
    ],
)
def test_a_constraint_means_what_it_means_to_packer(
    version: str, constraint: str, fits: bool
) -> None:
    assert satisfies(version, constraint) is fits


def test_versions_are_ordered_by_their_numbers() -> None:
    known = ["1.9.0", "1.16.0", "1.2"]
    assert max(known, key=lambda one: parsed(one) or ()) == "1.16.0"
    assert parsed("no version") is None
