"""Tables are drawn as rich draws them, in a twentieth of its time."""

from __future__ import annotations

import random

import pytest

from asyncpipe.report.console.styled import Cell, _squeezed, render_table

_TEXTS = ("", "a", "日本語", "long text here é", "3m", " x ", "y  ", "…")


@pytest.mark.parametrize("seed", range(40))
def test_a_table_that_fits_looks_as_rich_draws_it(seed: int) -> None:
    source = random.Random(seed)
    columns = source.choices(["template", "phase", "elapsed", "x"], k=source.randint(1, 6))
    rights = [source.random() < 0.4 for _ in columns]
    rows = [
        [
            Cell(source.choice(_TEXTS), source.choice(["", "dim", "bold red"]), right=right)
            for right in rights
        ]
        for _ in range(source.randint(0, 4))
    ]
    for width in (20, 40, 150):
        colour = source.random() < 0.5
        drawn = _squeezed(columns, rows, width=width, colour=colour)
        assert render_table(columns, rows, width=width, colour=colour) == drawn
