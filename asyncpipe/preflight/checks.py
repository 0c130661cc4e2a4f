"""The checks, each a value; ``run`` makes all of them and never stops at the first failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.errors import UploadError, UsageError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.packer.locate import validate
from asyncpipe.packer.plugins import install_plugins, missing_plugins, refused
from asyncpipe.ports import ObjectStore, ProcessRunner
from asyncpipe.preflight.blanks import check_blanks
from asyncpipe.preflight.iso import Checker
from asyncpipe.preflight.media import check_media
from asyncpipe.preflight.verdict import failure
from asyncpipe.text.format import size_text

_AT_ONCE: Final = 2  # Packers that read templates: each takes a core for its start
_STORE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What to check, and with what."""

    plans: Sequence[BuildPlan]
    runner: ProcessRunner
    store: ObjectStore | None
    free_bytes: int  # on the disk that will hold the XVAs
    expected_bytes: Mapping[str, int | None]  # largest XVA, by unit; None: not known
    today: str  # ISO date
    at_once: int = 1  # builds
    media: Checker | None = None  # None: media are not asked for
    redact: Callable[[str], str] = field(default=str)  # for what Packer prints
    install_plugins: bool = False  # those that are missing, by packer init


async def run(inspection: Inspection) -> tuple[CheckResult, ...]:
    """Make every check; results in the order: machine, destination, templates."""
    found: dict[int, list[CheckResult]] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    turn = anyio.Lock()  # two packer init at once would write the same plugin

    async def look_at(number: int, plan: BuildPlan) -> None:
        async with limiter:
            found[number] = await _template(plan, inspection, turn)

    async def look_at_store() -> None:
        if inspection.store is not None:
            found[-1] = [await check_destination(inspection.store)]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_at_store)
        for number, plan in enumerate(inspection.plans):
            tasks.start_soon(look_at, number, plan)
    in_order = [result for number in sorted(found) for result in found[number]]
    return (check_disk(inspection), *in_order)


def check_disk(inspection: Inspection) -> CheckResult:
    """Compare the free disk with the largest XVAs that are built at once."""
    sizes = sorted((size or 0 for size in inspection.expected_bytes.values()), reverse=True)
    needed_bytes = sum(sizes[: inspection.at_once])
    free = size_text(inspection.free_bytes)
    if inspection.free_bytes < needed_bytes:
        return CheckResult(
            name="disk",
            status=CheckStatus.FAIL,
            message=f"{free} are free, the XVAs may need {size_text(needed_bytes)}.",
            hint="Free some, name a --work-directory on a larger disk, or lower --jobs.",
            exit_code=UsageError.exit_code,
        )
    known = f", at most {size_text(needed_bytes)} needed" if needed_bytes else ""
    return CheckResult(name="disk", status=CheckStatus.OK, message=f"{free} free{known}")


async def check_destination(store: ObjectStore) -> CheckResult:
    """Prove with the real credentials that the destination can be written to."""
    try:
        with anyio.fail_after(_STORE_S):
            await store.probe()
    except UploadError as error:
        return failure("destination", error)
    except TimeoutError:
        slow = UploadError(f"{store.url} gave no answer within {_STORE_S:g} s.")
        return failure("destination", slow)
    return CheckResult(
        name="destination", status=CheckStatus.OK, message=f"{store.url} can be written to"
    )


async def _template(plan: BuildPlan, inspection: Inspection, turn: anyio.Lock) -> list[CheckResult]:
    unset = _check_variables(plan)
    if unset is not None:
        return [unset]
    try:
        of_packer = [
            await _plugins(plan, inspection, turn),
            await validate(plan, inspection.runner, inspection.redact),
        ]
    except UsageError as error:
        of_packer = [failure("packer", error, unit=plan.unit)]
    media = await check_media(plan, inspection.media) if inspection.media else []
    blanks = await anyio.to_thread.run_sync(check_blanks, plan)
    results = (*of_packer, *media, blanks, _check_age(plan, inspection.today))
    return [result for result in results if result is not None]


async def _plugins(plan: BuildPlan, inspection: Inspection, turn: anyio.Lock) -> CheckResult | None:
    """Look for the plugins that the template requires, and install what is missing."""
    async with turn:
        missing = await missing_plugins(plan, inspection.runner)
        try:
            if missing and not inspection.install_plugins:
                raise refused(plan, missing)
            if missing:
                await install_plugins(plan, missing, inspection.runner, inspection.redact)
        except UsageError as error:
            return failure("plugins", error, unit=plan.unit)
    if not plan.template.required_plugins:
        return None
    new = f", new: {', '.join(map(str, missing))}" if missing else ""
    message = f"{len(plan.template.required_plugins)} installed{new}"
    return CheckResult(name="plugins", unit=plan.unit, status=CheckStatus.OK, message=message)


def _check_variables(plan: BuildPlan) -> CheckResult | None:
    unset = [one for one in plan.template.variables.values() if not one.is_set]
    if not unset:
        return None
    first = unset[0]
    names = ", ".join(sorted(one.name for one in unset))
    return CheckResult(
        name="variables",
        unit=plan.unit,
        status=CheckStatus.FAIL,
        message=f"{first.location}: no value for variable {names}.",
        hint=f"Give it by PKR_VAR_{first.name}=..., -var {first.name}=... or a -var-file.",
        exit_code=UsageError.exit_code,
        file=first.location.file,
        line=first.location.line,
    )


def _check_age(plan: BuildPlan, today: str) -> CheckResult | None:
    identity = plan.static_identity
    if identity.end_of_life is None or identity.end_of_life > today:
        return None
    return CheckResult(
        name="end-of-life",
        unit=plan.unit,
        status=CheckStatus.WARN,
        message=f"{identity.short_id} has had no updates since {identity.end_of_life}.",
    )
