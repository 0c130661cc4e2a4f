"""Builds of one run that would get into each other's way, found before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asyncpipe.errors import UsageError
from asyncpipe.model.build import BuildPlan
from asyncpipe.run.units.load import Unit


def refuse_shared_places(units: Iterable[Unit]) -> None:
    """Refuse two units that would publish to one place.

    Raises:
        UsageError: naming both templates, their place, and the ways out.
    """
    taken: dict[str, Unit] = {}
    for unit in units:
        other = taken.setdefault(unit.place, unit)
        if other is not unit:
            raise UsageError(
                f"{_shown(other)} and {_shown(unit)} would both publish to templates/{unit.place}.",
                hint='Give one of them a variant: variant = "web" beside its os_name, or --variant'
                " web in a separate run.",
            )


def refuse_collisions(plans: Iterable[BuildPlan], vm_names: Mapping[str, str]) -> None:
    """Refuse two units that would write one folder or make one VM.

    Raises:
        UsageError: naming both and what they share.
    """
    taken: dict[tuple[str, str], str] = {}
    for one in plans:
        claims = [("output folder", str(one.output_directory))]
        if vm_names.get(one.unit):
            claims.append(("VM name", vm_names[one.unit]))
        for kind, value in claims:
            other = taken.setdefault((kind, value), one.unit)
            if other != one.unit:
                raise UsageError(
                    f"{other} and {one.unit} have the same {kind}: {value}. Nothing was started.",
                    hint="Build them in two runs, or make them differ (vm_name, output_directory).",
                )


def _shown(unit: Unit) -> str:
    """The template's path; the build too, where the template has several."""
    path = str(unit.template.path)
    return f"{path} ({', '.join(unit.only)})" if unit.only else path
