"""Bars with their values, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, ROW, LEFT, TOP = 560, 22, 150, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One value."""

    label: str
    value: float


def svg_of_bars(title: str, bars: Sequence[Bar]) -> str:
    """Draw them one below the other; all begin at zero."""
    most = max(bar.value for bar in bars) or 1
    height = TOP + ROW * len(bars) + 12
    rows = "".join(
        f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" fill="steelblue"/>'
        f'<text x="{LEFT + width + 6:.1f}" y="{y + 14}">{bar.value:.3g}</text>'
        for y, bar, width in (
            (TOP + ROW * number, bar, bar.value / most * (WIDTH - LEFT - 60))
            for number, bar in enumerate(bars)
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="{WIDTH / 2}" y="22" text-anchor="middle">{escape(title)}</text>{rows}</svg>\n'
    )
