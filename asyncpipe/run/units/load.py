"""Templates -> units: the builds of a run, each with a name, a system and a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncpipe import detect, template
from asyncpipe.detect import evidence
from asyncpipe.errors import UsageError
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.template import Template, TemplateSource
from asyncpipe.run import plan, selection
from asyncpipe.run.units.declared import is_for_production, variant_of
from asyncpipe.run.units.discover import named_exactly
from asyncpipe.settings import Settings

_MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One build of the matrix: a template, or one source of a template that has several."""

    name: str
    template: Template
    source: TemplateSource | None
    identity: OsIdentity
    only: tuple[str, ...] = ()
    variant: str = ""

    @property
    def post_processors(self) -> tuple[str, ...]:
        """Names of the post-processors of its build."""
        return self.source.post_processors if self.source else ()

    @property
    def packer_name(self) -> str:
        """Packer's name of this build, "" where the template has none."""
        return self.source.full_name if self.source else ""

    @property
    def place(self) -> str:
        """What it is published under, as far as the template says: ``debian12-web``."""
        return plan.published_name(self.identity, self.name, self.variant)


def load_units(
    settings: Settings,
    paths: Sequence[Path],
    root: Path,
    *,
    between: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _sentence: None,
) -> list[Unit]:
    """Read every template and choose the builds; ``say`` as in ``units_of``.

    ``between`` is called before each template: raising there ends it, as a cancel in a thread does.

    Raises:
        TemplateError: one cannot be read; nothing was started.
        UsageError: --only or --except names a build that does not exist, or none is left.
    """
    return units_of(settings, read_templates(settings, paths, between=between), root, say=say)


def read_templates(
    settings: Settings, paths: Sequence[Path], *, between: Callable[[], None] = lambda: None
) -> list[Template]:
    """Read templates with the variables of ``settings``; raises TemplateError for a broken one."""
    templates = []
    for path in paths:
        between()
        loaded = template.load(
            path,
            var_files=settings.var_files,
            variables=settings.variables,
            environment=settings.environment,
        )
        variant_of(loaded, settings.variant)  # refuses what cannot be part of a name
        templates.append(loaded)
    return templates


def units_of(
    settings: Settings,
    templates: Sequence[Template],
    root: Path,
    *,
    say: Callable[[str], None] = lambda _sentence: None,
) -> list[Unit]:
    """Name the builds of all templates, one per source, and leave those that are chosen.

    A template with ``production = false`` is left out unless it is named by its own path, or its
    build by --only; ``say`` gets a sentence about those.

    Raises:
        TemplateError: a template's variant cannot be part of a name.
        UsageError: --only or --except names a build that does not exist, or none is left.
    """
    named = zip(plan.unit_names(templates, root), templates, strict=True)
    units = [unit for name, loaded in named for unit in _units_of(name, loaded, settings)]
    names = {unit.name: unit.packer_name for unit in units}
    steps = {name for unit in units for name in unit.post_processors}
    chosen = selection.chosen(names, settings.only, settings.except_, steps)
    return _for_production([unit for unit in units if unit.name in chosen], settings, root, say)


def _for_production(
    units: Sequence[Unit], settings: Settings, root: Path, say: Callable[[str], None]
) -> list[Unit]:
    exact = named_exactly(settings.templates, root)
    only = {name.strip() for names in settings.only for name in names.split(",")}
    left_out = [
        unit
        for unit in units
        if not is_for_production(unit.template)
        and unit.template.path not in exact
        and only.isdisjoint({unit.name, unit.packer_name} - {""})
    ]
    kept = [unit for unit in units if unit not in left_out]
    if not left_out:
        return kept
    paths = list(dict.fromkeys(str(unit.template.path) for unit in left_out))
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    sentence = f"Left out, not for production: {', '.join(paths[:_MAX_NAMED])}{more}."
    hint = f"To build one, name it: {paths[0]}."
    if not kept:
        raise UsageError(f"No template is left. {sentence}", hint=hint)
    say(f"{sentence} {hint}")
    return kept


def _units_of(name: str, loaded: Template, settings: Settings) -> list[Unit]:
    explicit = evidence.from_options(settings.os, settings.os_version)
    variant = variant_of(loaded, settings.variant)
    if len(loaded.sources) <= 1:
        source = loaded.sources[0] if loaded.sources else None
        identity = detect.determine_os_info((*explicit, *evidence.from_template(loaded)))
        return [Unit(name=name, template=loaded, source=source, identity=identity, variant=variant)]
    return [
        Unit(
            name=plan.slug(f"{name}-{suffix}"),
            template=loaded,
            source=source,
            identity=detect.determine_os_info(
                (*explicit, *evidence.from_template(loaded, source=source))
            ),
            only=(source.full_name,),
            variant=variant,
        )
        for suffix, source in zip(_suffixes(loaded.sources), loaded.sources, strict=True)
    ]


def _suffixes(sources: Sequence[TemplateSource]) -> list[str]:
    """The label of each source, or its whole name where two have the same label."""
    count = Counter(source.label for source in sources)
    return [one.label if count[one.label] == 1 else one.full_name for one in sources]
