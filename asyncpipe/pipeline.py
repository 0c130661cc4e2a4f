"""THE FLOW: one template, from Packer's first line to the moved pointer.

``process_template`` reads from top to bottom; each call is one stage. A template that fails is a
value (``Failed``), so that it never harms its neighbours; a cancelled run is cancellation.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import structlog

from asyncpipe import artifact, build, metadata, plan, publish
from asyncpipe.dossier import Dossier, Workshop
from asyncpipe.errors import (
    EXIT_CANCELLED,
    EXIT_UNEXPECTED,
    AsyncpipeError,
    UploadError,
    leaf_of,
)
from asyncpipe.export import Export
from asyncpipe.journal import Built
from asyncpipe.model import layout
from asyncpipe.model.build import BuildPlan, Phase
from asyncpipe.model.events import TemplateFinished, TemplateStarted
from asyncpipe.model.publication import Failed, Outcome, Publication, Published
from asyncpipe.transfer.delivery import Delivery

logger = structlog.get_logger()

_FAILURE_PUBLISH_S = 60.0
_CANCELLED_PUBLISH_S = 2.0  # a cancelled step has seconds, not minutes


async def process_template(build_plan: BuildPlan, shop: Workshop) -> Outcome:
    """Build, verify and publish one template; raises nothing but its own cancellation."""
    dossier = Dossier(build_plan, shop)
    shop.reporter.emit(
        TemplateStarted(
            unit=dossier.unit,
            template_path=str(build_plan.template.path),
            identity=build_plan.static_identity,
        )
    )
    try:
        outcome: Outcome = await _build_and_publish(dossier)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await _leave_cancelled(dossier)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours go on
        outcome = await _failed(dossier, leaf_of(error))
    shop.reporter.emit(TemplateFinished(unit=dossier.unit, outcome=outcome))
    return outcome


async def _build_and_publish(dossier: Dossier) -> Published:
    """The way of a template that ends well; every failure leaves by an exception."""
    async with anyio.create_task_group() as tasks:
        export = Export(dossier, tasks, follow=True)
        async with dossier.open_log() as log:
            await dossier.note_state("building")
            dossier.build_exit = await build.run(
                dossier.plan,
                runner=dossier.shop.runner,
                log=log,
                on_phase=dossier.on_phase,
                on_exit=dossier.on_exit,
            )
            xva_path = artifact.collect(dossier.plan, dossier.build_exit)
            dossier.identify()
            await dossier.keep_for_resume(xva_path)
            dossier.on_phase(Phase.VERIFY)
            delivery = await export.deliver(xva_path)
            dossier.judge(delivery.inspector.finish())
            dossier.sealed = await log.seal()
        publication = await _make_visible(dossier, delivery)
    return await _concluded(dossier, publication, xva_path)


async def publish_built(build_plan: BuildPlan, shop: Workshop, built: Built) -> Outcome:
    """Publish what an interrupted run had built: the upload goes on from what the store has."""
    dossier = Dossier(build_plan, shop, built)
    try:
        outcome: Outcome = await _publish_built(dossier, built)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await dossier.note_state("built")
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours go on
        outcome = await _failed(dossier, leaf_of(error))
    shop.reporter.emit(TemplateFinished(unit=dossier.unit, outcome=outcome))
    return outcome


async def _publish_built(dossier: Dossier, built: Built) -> Published:
    dossier.on_phase(Phase.VERIFY)
    async with anyio.create_task_group() as tasks:
        dossier.sealed = await dossier.log_sealed_before()
        delivery = await Export(dossier, tasks, follow=False).deliver(built.xva_path, resume=True)
        dossier.judge(delivery.inspector.finish())
        publication = await _make_visible(dossier, delivery)
    return await _concluded(dossier, publication, built.xva_path)


async def _make_visible(dossier: Dossier, delivery: Delivery) -> Publication:
    assert dossier.sealed is not None
    dossier.on_phase(Phase.PUBLISH)
    publication = await publish.publish(
        dossier.shelf, dossier.folder_key, delivery, dossier.sealed, dossier.compose
    )
    return await dossier.move_pointer(publication)


async def _concluded(dossier: Dossier, publication: Publication, xva_path: Path) -> Published:
    await dossier.note_state("published")
    await dossier.remove_xva(xva_path)
    return dossier.published(publication)


async def _failed(dossier: Dossier, error: BaseException) -> Failed:
    """Tell what went wrong and leave the log where people look for it."""
    if not isinstance(error, AsyncpipeError):
        logger.error("build.unexpected", unit=dossier.unit, exc_info=error)
    exit_code = error.exit_code if isinstance(error, AsyncpipeError) else EXIT_UNEXPECTED
    text = dossier.redact(str(error) or type(error).__name__)
    log_url = ""
    with anyio.move_on_after(_FAILURE_PUBLISH_S):
        log_url = await _publish_failure(dossier, text, exit_code)
    await dossier.note_state(_state_after(error, dossier), exit_code=exit_code)
    return dossier.failed(error, text=text, exit_code=exit_code, log_url=log_url)


def _state_after(error: BaseException, dossier: Dossier) -> str:
    """A build whose upload failed is not built again: --resume sends what is on the disk."""
    return "built" if dossier.is_built and isinstance(error, UploadError) else "failed"


async def _leave_cancelled(dossier: Dossier) -> None:
    """Seal the log and note what remains, within seconds: a second signal may follow."""
    with anyio.move_on_after(_CANCELLED_PUBLISH_S):
        state = "built" if dossier.is_built else "cancelled"
        await dossier.note_state(state, exit_code=EXIT_CANCELLED)
        await _publish_failure(dossier, "The build was cancelled.", EXIT_CANCELLED)


async def _publish_failure(dossier: Dossier, text: str, exit_code: int) -> str:
    folder_key = layout.failed_folder_key(plan.slug(dossier.unit), dossier.plan.timestamp)
    document = metadata.failed(
        dossier.draft(),
        error=text,
        exit_code=exit_code,
        sealed=dossier.sealed,
        xva_report=dossier.xva_report,
    )
    try:
        return await publish.publish_failure(
            dossier.shelf, folder_key, dossier.sealed, metadata.encode(document)
        )
    except AsyncpipeError as problem:
        dossier.warn("failure-log", f"The log could not be published: {problem.message}")
        return ""
