"""Which ratios are wanted, which of them a run has met, and which have grown since another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GROWN = 1.2  # a ratio that has grown by more is said to be worse than before
Costs = dict[str, dict[str, float]]  # client -> medians


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """At most ``most`` times what the peers cost together; without peers: at most ``most``."""

    section: str
    ours: str
    column: str
    most: float
    peer: str = ""


WANTED = (
    Wanted(section="engine", ours="asyncpipe-crc", column="cpu_s", most=0.9, peer="awscrt"),
    Wanted(section="engine", ours="asyncpipe-crc", column="peak_mib", most=0.25, peer="awscrt"),
    Wanted(section="engine", ours="asyncpipe", column="cpu_s", most=0.9, peer="awscrt-sha256"),
    Wanted(section="pull", ours="asyncpipe", column="cpu_s", most=1.0, peer="obstore-sha256"),
    Wanted(section="pull", ours="asyncpipe", column="wall_s", most=1.1, peer="rclone"),
    Wanted(section="pull", ours="asyncpipe", column="peak_mib", most=120),
    Wanted(section="pull, 200 MB/s", ours="asyncpipe", column="wall_s", most=1.1, peer="rclone"),
    Wanted(section="publish", ours="publish", column="cpu_s", most=1.0, peer="awscrt-sha256"),
    Wanted(section="publish", ours="publish", column="wall_s", most=1.1, peer="awscrt"),
    Wanted(section="publish", ours="publish", column="peak_mib", most=150),
    Wanted(section="publish, 100 MB/s", ours="publish", column="wall_s", most=1.1, peer="awscrt"),
    Wanted(section="publish, 100 MB/s", ours="publish", column="peak_mib", most=150),
)


def judged(found: dict[str, Costs]) -> list[dict[str, object]]:
    """Print which wanted ratios are met."""
    print("## Wanted\n\n| section | what | wanted | found | |\n|---|---|---|---|---|")
    rows: list[dict[str, object]] = []
    for wanted in WANTED:
        value = ratio(found.get(wanted.section, {}), wanted)
        what = f"{wanted.ours} {wanted.column}" + (f" / {wanted.peer}" if wanted.peer else "")
        shown = "not measured" if value is None else f"{value:.2f}"
        verdict = "" if value is None else "met" if value <= wanted.most else "missed"
        print(f"| {wanted.section} | {what} | {wanted.most:g} | {shown} | {verdict} |")
        rows.append({"section": wanted.section, "what": what, "most": wanted.most, "found": value})
    return rows


def ratio(costs: Costs, wanted: Wanted) -> float | None:
    """Our figure, as a ratio to the peer's where there is one; None: one of them is missing."""
    if wanted.ours not in costs or (wanted.peer and wanted.peer not in costs):
        return None
    ours = costs[wanted.ours][wanted.column]
    return ours / costs[wanted.peer][wanted.column] if wanted.peer else ours


def compared(found: dict[str, Costs], before: dict[str, dict[str, Costs]]) -> Sequence[str]:
    """Print the ratios that have grown since an earlier run, and return them."""
    grown = []
    for wanted in WANTED:
        now = ratio(found.get(wanted.section, {}), wanted)
        then = ratio(before["sections"].get(wanted.section, {}), wanted)
        if now is not None and then is not None and now > GROWN * then:
            grown.append(f"{wanted.section}: {wanted.ours} {wanted.column} {then:.2f} -> {now:.2f}")
    print("\n" + ("\n".join(grown) or "No ratio has grown by more than a fifth."))
    return grown
