"""Units of a matrix -> jobs for several runners, balanced by what they took before (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asyncpipe.model.template import Reference, Template

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

    A file that is gone counts by its name. A file in a template's own folder counts as that
    template's, unless it is one that another template consists of. A file that a template refers
    to only by a path it could not evaluate, or from within a script, is not seen.

    Args:
        templates: by the names of their units; their paths are relative to ``root``.
        files: what changed, relative to ``root``.
        root: Packer's working directory.
    """
    touched = frozenset(_place(root / file) for file in files)
    folders = frozenset(parent for path in touched for parent in path.parents)
    consists = {
        unit: frozenset(_place(root / file) for file in template.files)
        for unit, template in templates.items()
    }
    nobodys = touched.difference(*consists.values())
    return [
        unit
        for unit, template in templates.items()
        if _holds(root / template.folder, nobodys | (touched & consists[unit]))
        or not touched.isdisjoint(_files_of(template, root))
        or any(_names(one, template, root, touched, folders) for one in template.references)
    ]


def _holds(folder: Path, files: Iterable[Path]) -> bool:
    place = folder.resolve()
    return any(place in file.parents for file in files)


def _place(path: Path) -> Path:
    """Where a file is, itself not followed: git names a link, not what it leads to."""
    return path.resolve() if path.name == ".." else path.parent.resolve() / path.name


def _files_of(template: Template, root: Path) -> set[Path]:
    files = [root / path for path in (*template.files, *template.referenced_files)]
    return {way(path) for path in files for way in (_place, Path.resolve)}


def _names(
    reference: Reference,
    template: Template,
    root: Path,
    touched: frozenset[Path],
    folders: frozenset[Path],
) -> bool:
    for base in (root, root / template.folder):
        place = _place(base / reference.text)
        if place in touched:
            return True
        if not reference.is_word and (place in folders or _matches(place, touched)):
            return True
    return False


def _matches(place: Path, touched: frozenset[Path]) -> bool:
    pattern = str(place)
    return any(char in pattern for char in "*?[") and any(path.match(pattern) for path in touched)


def duration_of(place: str, unit: str, known: Mapping[str, float]) -> float:
    """The past duration of a unit, else of its place, else a common one; seconds."""
    return known.get(unit) or known.get(place) or _UNSEEN_S


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
