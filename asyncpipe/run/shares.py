"""Units of a matrix -> the jobs of a workflow, balanced by what they took before (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from asyncpipe.model.template import Reference, Template

# What a unit is taken to need when the catalogue has never seen it: a common install from ISO.
_UNSEEN_S: Final = 1800.0
# A job that runs much longer than its builds did before hangs; uploads and clean-up come on top.
_SLACK: Final = 4
_LEAST_S: Final = 2 * 3600.0
_BESIDE_BUILD_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One unit and what it is expected to take."""

    unit: str
    template: str
    duration_s: float
    packer_name: str = ""  # where its template has several builds and this is one of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How the jobs will build: what their time limits follow from."""

    at_once: int = 1
    retries: int = 0
    build_timeout_s: float | None = None


@dataclass(slots=True, kw_only=True)
class _Job:
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


def over_jobs(
    pieces: Sequence[Piece], job_count: int, limits: Limits | None = None
) -> list[dict[str, object]]:
    """Spread pieces over at most ``job_count`` jobs; those that take longest come first.

    Returns one JSON-able object per job that has work, an empty list when nothing is to be built:
    ``name`` (of its only unit, else ``share-N``: a key for `concurrency`), ``runner`` (from 1),
    ``units``, ``templates`` and ``only`` (arguments that build just these), ``expected_s``,
    ``timeout_minutes``.
    """
    jobs = [_Job() for _ in range(min(job_count, len(pieces)))]
    for piece in sorted(pieces, key=lambda one: (-one.duration_s, one.unit)):
        min(jobs, key=lambda one: one.duration_s).pieces.append(piece)
    longest_first = sorted(jobs, key=lambda one: -one.duration_s)
    return [
        _document(number, job, limits or Limits())
        for number, job in enumerate(longest_first, start=1)
    ]


def _document(number: int, job: _Job, limits: Limits) -> dict[str, object]:
    alone = len(job.pieces) == 1
    return {
        "name": job.pieces[0].unit if alone else f"share-{number}",
        "runner": number,
        "units": [piece.unit for piece in job.pieces],
        "templates": list(dict.fromkeys(piece.template for piece in job.pieces)),
        "only": _only(job.pieces, alone=alone),
        "expected_s": round(job.duration_s),
        "timeout_minutes": math.ceil(_limit_s(job, limits) / 60),
    }


def _only(pieces: Sequence[Piece], *, alone: bool) -> list[str]:
    if not any(piece.packer_name for piece in pieces):
        return []  # the templates alone say it
    return [piece.packer_name if alone else piece.unit for piece in pieces]


def _limit_s(job: _Job, limits: Limits) -> float:
    if limits.build_timeout_s is None:
        return max(_LEAST_S, _SLACK * job.duration_s) + _BESIDE_BUILD_S
    waves = math.ceil(len(job.pieces) / limits.at_once)
    return waves * (1 + limits.retries) * limits.build_timeout_s + _BESIDE_BUILD_S
