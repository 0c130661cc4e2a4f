"""Units of a matrix -> jobs for several runners, balanced by what they took before (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asyncpipe.model.template import Template

# What a unit is taken to need when the catalogue has never seen it: a common install from ISO.
_UNSEEN_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One unit and what it is expected to take."""

    unit: str
    template: str
    duration_s: float


@dataclass(slots=True, kw_only=True)
class _Runner:
    pieces: list[Piece] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        return sum(piece.duration_s for piece in self.pieces)


def changed(templates: Mapping[str, Template], files: Iterable[Path], root: Path) -> list[str]:
    """Name the units that a change of ``files`` touches: their own files and what they refer to.

    A file that a template refers to only by a path it could not evaluate is not seen; a file
    below a folder that a template's own folder holds counts as that template's.
    """
    touched = {(root / file).resolve() for file in files}
    return [
        unit
        for unit, template in templates.items()
        if touched & {path.resolve() for path in _files_of(template, root)}
        or any(template.folder.resolve() in path.parents for path in touched)
    ]


def _files_of(template: Template, root: Path) -> list[Path]:
    return [root / path for path in (*template.files, *template.referenced_files)]


def duration_of(short_id: str | None, unit: str, known: Mapping[str, float]) -> float:
    """The past duration of a unit, else of its system, else a common one; seconds."""
    return known.get(unit) or known.get(short_id or "") or _UNSEEN_S


def over_runners(pieces: Sequence[Piece], runner_count: int) -> list[dict[str, object]]:
    """Spread pieces over at most ``runner_count`` runners, the longest first to the least busy.

    Returns one JSON-able object per runner that has work: ``{"runner", "units", "templates",
    "expected_s"}``; an empty list when there is nothing to build.
    """
    runners = [_Runner() for _ in range(runner_count)]
    for piece in sorted(pieces, key=lambda one: (-one.duration_s, one.unit)):
        min(runners, key=lambda one: one.duration_s).pieces.append(piece)
    busy = [runner for runner in runners if runner.pieces]
    return [
        {
            "runner": number,
            "units": [piece.unit for piece in runner.pieces],
            "templates": list(dict.fromkeys(piece.template for piece in runner.pieces)),
            "expected_s": round(runner.duration_s),
        }
        for number, runner in enumerate(busy, start=1)
    ]
