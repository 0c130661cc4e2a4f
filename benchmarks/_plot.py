"""A line through points, as SVG: enough to see whether something is flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 480, 260, 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is drawn: (x, y) in the order of x."""

    title: str
    points: Sequence[tuple[float, float]]


def svg_of(series: Series) -> str:
    """Draw a series; both axes begin at zero."""
    most_x = max(x for x, _ in series.points) or 1
    most_y = max(y for _, y in series.points) * 1.1 or 1
    places = [
        (
            MARGIN + x / most_x * (WIDTH - 2 * MARGIN),
            HEIGHT - MARGIN - y / most_y * (HEIGHT - 2 * MARGIN),
        )
        for x, y in series.points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    labels = "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3"/>'
        f'<text x="{px:.1f}" y="{py - 8:.1f}" text-anchor="middle">{y:.3g}</text>'
        f'<text x="{px:.1f}" y="{HEIGHT - MARGIN + 16}" text-anchor="middle">{x:g}</text>'
        for (px, py), (x, y) in zip(places, series.points, strict=True)
    )
    base = HEIGHT - MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<text x="{WIDTH / 2}" y="20" text-anchor="middle">{escape(series.title)}</text>'
        f'<path d="M{MARGIN},{MARGIN - 8}V{base}H{WIDTH - MARGIN + 8}" fill="none" stroke="black"/>'
        f'<polyline points="{line}" fill="none" stroke="steelblue" stroke-width="2"/>'
        f"{labels}</svg>\n"
    )
