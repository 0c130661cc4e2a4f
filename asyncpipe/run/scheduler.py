"""Many templates in one process: units with stable names, one budget, outcomes as values."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import structlog

from asyncpipe import detect, template
from asyncpipe.detect import evidence
from asyncpipe.errors import (
    EXIT_SOME_FAILED,
    EXIT_UNEXPECTED,
    BuildTimedOutError,
    PackerFailedError,
    TemplateError,
    UsageError,
    leaf_of,
)
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.publication import Failed, Outcome
from asyncpipe.model.template import Template, TemplateSource
from asyncpipe.run import plan, selection
from asyncpipe.settings import Settings
from asyncpipe.text.format import size_text
from asyncpipe.text.safe import printable

logger = structlog.get_logger()

# what a second try may mend
_RETRIED_EXIT_CODES = {PackerFailedError.exit_code, BuildTimedOutError.exit_code}
_TEMPLATE_NAMES = ("*.pkr.hcl", "*.pkr.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One build of the matrix: a template, or one source of a template that has several."""

    name: str
    template: Template
    source: TemplateSource | None
    identity: OsIdentity
    only: tuple[str, ...] = ()

    @property
    def post_processors(self) -> tuple[str, ...]:
        """Names of the post-processors of its build."""
        return self.source.post_processors if self.source else ()

    @property
    def packer_name(self) -> str:
        """Packer's name of this build, "" where the template has none."""
        return self.source.full_name if self.source else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A unit that may start: its plan for each attempt, and the disk it will need."""

    name: str
    template_path: str
    expected_bytes: int
    run: Callable[[int], Awaitable[Outcome]] = field(repr=False)  # attempt, from 0
    written_bytes: Callable[[], int] = field(default=lambda: 0, repr=False)  # of the export, so far


def discover(patterns: Sequence[str], root: Path) -> list[Path]:
    """Expand folders and globs to templates, in a stable order, each once.

    A folder that holds template files is one template; any other is searched below.

    Raises:
        TemplateError: a name that matches nothing.
        UsageError: an empty name, which would mean all that is below the current folder.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if not pattern.strip():
            raise UsageError(
                "The name of a template is empty.",
                hint="Is a variable of the command unset? For the current folder write a dot.",
            )
        matches = _matches(pattern, root)
        if not matches:
            raise TemplateError(
                f"{pattern}: no such template.",
                hint=_meant(pattern, root)
                or "Name a .pkr.hcl file, a .json template, or a folder that holds one.",
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def _meant(pattern: str, root: Path) -> str:
    """Suggest templates that are called alike."""
    return selection.did_you_mean(pattern, selection.template_folders(root))


def _matches(pattern: str, root: Path) -> list[Path]:
    path = Path(pattern)
    if (root / path).is_dir():
        return _templates_below(path, root)
    if (root / path).exists():
        return [path]
    if any(char in pattern for char in "*?["):
        hits = sorted(hit.relative_to(root) for hit in root.glob(pattern))
        folders = [t for hit in hits if (root / hit).is_dir() for t in _templates_below(hit, root)]
        return folders + [hit for hit in hits if hit.name.endswith((".pkr.hcl", ".pkr.json"))]
    return []


def _templates_below(folder: Path, root: Path) -> list[Path]:
    if any(_named_template(entry.name) for entry in (root / folder).iterdir()):
        return [folder]
    below = {
        file.parent.relative_to(root)
        for pattern in _TEMPLATE_NAMES
        for file in (root / folder).rglob(pattern)
        if not any(part.startswith(".") for part in file.relative_to(root / folder).parts)
    }
    return sorted(below) or [folder]


def _named_template(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _TEMPLATE_NAMES)


def load_units(
    settings: Settings,
    paths: Sequence[Path],
    root: Path,
    *,
    between: Callable[[], None] = lambda: None,
) -> list[Unit]:
    """Read every template and choose the builds.

    ``between`` is called before each template: raising there ends it, as a cancel in a thread does.

    Raises:
        TemplateError: one cannot be read; nothing was started.
        UsageError: --only or --except names a build that does not exist.
    """
    return units_of(settings, read_templates(settings, paths, between=between), root)


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
        templates.append(loaded)
    return templates


def units_of(settings: Settings, templates: Sequence[Template], root: Path) -> list[Unit]:
    """Name the builds of all templates, one per source, and leave those that are chosen.

    Raises:
        UsageError: --only or --except names a build that does not exist.
    """
    named = zip(plan.unit_names(templates, root), templates, strict=True)
    units = [unit for name, loaded in named for unit in _units_of(name, loaded, settings)]
    names = {unit.name: unit.packer_name for unit in units}
    steps = {name for unit in units for name in unit.post_processors}
    chosen = selection.chosen(names, settings.only, settings.except_, steps)
    return [unit for unit in units if unit.name in chosen]


def _units_of(name: str, loaded: Template, settings: Settings) -> list[Unit]:
    explicit = evidence.from_options(settings.os, settings.os_version)
    if len(loaded.sources) <= 1:
        source = loaded.sources[0] if loaded.sources else None
        identity = detect.determine_os_info((*explicit, *evidence.from_template(loaded)))
        return [Unit(name=name, template=loaded, source=source, identity=identity)]
    return [
        Unit(
            name=plan.slug(f"{name}-{suffix}"),
            template=loaded,
            source=source,
            identity=detect.determine_os_info(
                (*explicit, *evidence.from_template(loaded, source=source))
            ),
            only=(source.full_name,),
        )
        for suffix, source in zip(_suffixes(loaded.sources), loaded.sources, strict=True)
    ]


def _suffixes(sources: Sequence[TemplateSource]) -> list[str]:
    """The label of each source, or its whole name where two have the same label."""
    count = Counter(source.label for source in sources)
    return [one.label if count[one.label] == 1 else one.full_name for one in sources]


def refuse_collisions(plans: Iterable[BuildPlan], vm_names: Mapping[str, str]) -> None:
    """Refuse two units that would publish to one place, write one folder or make one VM.

    Raises:
        UsageError: naming both and what they share.
    """
    taken: dict[tuple[str, str], str] = {}
    for one in plans:
        place = plan.folder_key(one.static_identity, one.unit, one.timestamp)
        claims = [("destination", place), ("output folder", str(one.output_directory))]
        if vm_names.get(one.unit):
            claims.append(("VM name", vm_names[one.unit]))
        for kind, value in claims:
            other = taken.setdefault((kind, value), one.unit)
            if other != one.unit:
                raise UsageError(
                    f"{other} and {one.unit} have the same {kind}: {value}. Nothing was started.",
                    hint="Build them in two runs, or tell them apart (--os-version, vm_name).",
                )


class DiskBudget:
    """Lets a build start only when its largest expected XVA fits beside those already running."""

    def __init__(self, free_bytes: Callable[[], int]) -> None:
        self._free_bytes = free_bytes
        self._running: list[Job] = []
        self._freed = anyio.Condition()

    @asynccontextmanager
    async def reserve(self, job: Job) -> AsyncIterator[None]:
        """Wait for room.

        Raises:
            UsageError: there is not enough even with nothing else running.
        """
        async with self._freed:
            while self._free_bytes() - self._outstanding_bytes() < job.expected_bytes:
                if not self._running:
                    raise UsageError(
                        f"The disk has {size_text(self._free_bytes())} free; the XVA may need "
                        f"{size_text(job.expected_bytes)}.",
                        hint="Free some space, or put --work-directory on a larger disk.",
                    )
                await self._freed.wait()
            self._running.append(job)
        try:
            yield
        finally:
            # no await between the build's end and this: a cancelled waiter must see it too
            self._running.remove(job)
            with anyio.CancelScope(shield=True):
                async with self._freed:
                    self._freed.notify_all()

    def _outstanding_bytes(self) -> int:
        """What the running builds will still write: what they have written is not free any more."""
        return sum(max(0, job.expected_bytes - job.written_bytes()) for job in self._running)


async def process_matrix(
    jobs: Sequence[Job],
    *,
    at_once: int,
    disk: DiskBudget,
    fail_fast: bool = False,
    retries: int = 0,
    on_retry: Callable[[str, str], None] = lambda _unit, _message: None,
    on_outcome: Callable[[Outcome], None] = lambda _outcome: None,
) -> tuple[Outcome, ...]:
    """Run every job, ``at_once`` at a time; outcomes in the order of ``jobs``.

    Whatever a job raises is its own outcome: no fault of one template ends another.

    ``on_outcome`` hears of each as it ends, so that a cancelled matrix knows what was done.

    With ``fail_fast`` no further job starts after a failure; those that run go on to their end.
    """
    outcomes: dict[str, Outcome] = {}
    slots = anyio.Semaphore(at_once)

    async def outcome_of(job: Job) -> Outcome:
        if fail_fast and any(isinstance(o, Failed) for o in outcomes.values()):
            message = "Not started: an earlier template failed (--fail-fast)."
            return _failed(job, message, EXIT_SOME_FAILED, started=False)
        try:
            async with disk.reserve(job):
                return await _attempts(job, retries, on_retry)
        except UsageError as error:
            return _failed(job, error.message, error.exit_code, hint=error.hint)
        except Exception as error:
            logger.exception("build.unexpected", unit=job.name)
            leaf = leaf_of(error)
            words = printable(str(leaf)) or type(leaf).__name__
            return _failed(job, words, EXIT_UNEXPECTED)

    async def run(job: Job) -> None:
        try:
            outcomes[job.name] = await outcome_of(job)
            on_outcome(outcomes[job.name])
        finally:
            slots.release()

    async with anyio.create_task_group() as tasks:
        for job in jobs:
            await slots.acquire()  # here, so that they start in the order they were named
            tasks.start_soon(run, job)
    return tuple(outcomes[job.name] for job in jobs)


async def _attempts(job: Job, retries: int, on_retry: Callable[[str, str], None]) -> Outcome:
    for attempt in range(retries):
        outcome = await job.run(attempt)
        if not isinstance(outcome, Failed) or outcome.exit_code not in _RETRIED_EXIT_CODES:
            return outcome
        on_retry(job.name, f"Attempt {attempt + 1} failed ({outcome.error}); building again.")
    return await job.run(retries)


def _failed(
    job: Job, error: str, exit_code: int, *, hint: str = "", started: bool = True
) -> Failed:
    return Failed(
        unit=job.name,
        template_path=job.template_path,
        error=error,
        hint=hint,
        exit_code=exit_code,
        started=started,
    )
