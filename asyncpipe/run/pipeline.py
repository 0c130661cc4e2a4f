"""THE FLOW: one template, from Packer's first line to the moved pointer.

``process_template`` reads from top to bottom; each call is one stage. A template that fails is a
value (``Failed``), so that it never harms its neighbours; a cancelled run is cancellation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from asyncpipe import metadata
from asyncpipe.errors import (
    EXIT_CANCELLED,
    EXIT_UNEXPECTED,
    AsyncpipeError,
    BootTestNotRunError,
    HostError,
    UploadError,
    leaf_of,
)
from asyncpipe.model import store_keys
from asyncpipe.model.build import BuildExit, BuildPlan, Phase
from asyncpipe.model.clean_up import CleanUp
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.model.events import TemplateFinished, TemplateStarted
from asyncpipe.model.publication import Failed, Outcome, Publication, Published
from asyncpipe.run import artifact, plan, publish
from asyncpipe.run import log as buildlog
from asyncpipe.run.claim import take_place_found_late
from asyncpipe.run.context import RunContext
from asyncpipe.run.eager_upload import Export, open_export
from asyncpipe.run.origin.materials import read_materials
from asyncpipe.run.origin.parent import known_parent, parent_named_by
from asyncpipe.run.publishing import booted
from asyncpipe.run.publishing.attest import attestation_of
from asyncpipe.run.services import Services
from asyncpipe.run.state import Built
from asyncpipe.system.disk import Disk
from asyncpipe.system.logger import structlog
from asyncpipe.text.secrets import texts_of, too_short
from asyncpipe.upload.session import UploadSession

logger = structlog.get_logger()

_FAILURE_PUBLISH_S = 60.0
_NOT_ITS_FAULT = (UploadError, BootTestNotRunError, HostError)  # the image's
_CANCELLED_PUBLISH_S = 2.0  # a cancelled step has seconds, not minutes


async def process_template(build_plan: BuildPlan, services: Services) -> Outcome:
    """Build, verify and publish one template; raises nothing but its own cancellation."""
    context = RunContext(build_plan, services)
    services.reporter.emit(
        TemplateStarted(
            unit=context.unit,
            template_path=str(build_plan.template.path),
            identity=build_plan.static_identity,
        )
    )
    _warn_of_short_secrets(context)
    try:
        outcome: Outcome = await _build_and_publish(context)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await _leave_cancelled(context)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours go on
        outcome = await _failed(context, leaf_of(error))
    services.reporter.emit(TemplateFinished(unit=context.unit, outcome=outcome))
    return outcome


def _warn_of_short_secrets(context: RunContext) -> None:
    variables = context.plan.template.variables.values()
    values = {v.name: "\n".join(texts_of(v.value)) for v in variables if v.sensitive}
    for name in too_short(values):
        context.warn(
            "short-secret",
            f"The value of the sensitive variable {name} is too short or too common to be masked: "
            "output that repeats it shows it.",
        )


async def _build_and_publish(context: RunContext) -> Published:
    """The way of a template that ends well; every failure leaves by an exception."""
    async with open_export(context, follow=True) as export:
        async with context.open_log() as log, _host_settled(context):
            await context.note_state(UnitState.BUILDING)
            await _look_at_origin(context)
            context.build_exit = await _build(context, log, export)
            xva_path = await Disk("artifact").call(
                artifact.collect, context.plan, context.build_exit
            )
            context.identify()
            await context.keep_for_resume(xva_path)
            context.on_phase(Phase.VERIFY)
            upload = await export.deliver(xva_path)
            context.judge(upload.verdict)
            await booted.test_built(context, log, xva_path)
            context.sealed = await log.seal()
        publication = await _make_visible(context, upload)
        # before the upload's journal goes: until then --resume finds its own image by it
        await context.note_state(UnitState.PUBLISHED)
    return await _concluded(context, publication, xva_path)


async def _look_at_origin(context: RunContext) -> None:
    """Note what goes into the build before Packer can change it; a slow disk is a warning."""
    built_from = context.plan.built_from
    services = context.services
    named = parent_named_by(context.plan.template)
    parent, warning = services.parent, ""
    if parent is None and named:
        parent, warning = await known_parent(services.store, named)
    if warning:
        context.warn("parent", warning)
    try:
        files, cut = await Disk("materials").call(read_materials, context.plan)
        built_from = replace(built_from, materials=files, materials_cut=cut)
    except OSError as error:
        why = error.strerror or error
        context.warn("materials", f"The template's files were not digested: {why}.")
    context.plan = replace(context.plan, built_from=replace(built_from, parent=parent))


async def _build(context: RunContext, log: buildlog.BuildLog, export: Export) -> BuildExit:
    """Run Packer with the host watched beside it; others' turn comes when its host is clean.

    The end of the export is sent while the host is cleaned.
    """
    from asyncpipe.packer import build, watch  # noqa: PLC0415 - a publication needs none of it

    locks = context.services.journal.folder.parent.parent / "locks"
    at_its_end = nullcontext() if context.plan.keep_failed_s else _host_settled(context)
    async with (
        context.host.iso_turn(locks, context.on_waiting),
        at_its_end,
        context.host.followed(),
    ):
        build_exit = await build.run(
            context.plan,
            runner=context.services.runner,
            log=log,
            listeners=watch.Listeners(
                on_phase=context.on_phase,
                on_host=context.host.take,
                on_waiting=context.on_waiting,
                on_exit=context.on_exit,
                on_problem=partial(context.warn, "packer-log"),
                unblock=context.host.unblock,
                on_session=context.host.hear_session,
            ),
        )
        if build_exit.return_code == 0:
            export.finish()
        return build_exit


@asynccontextmanager
async def _host_settled(context: RunContext) -> AsyncIterator[None]:
    """However it ends, nothing stays at the host, unless a person wants to look at it.

    With --on-error keep the VM of a good build stays until its XVA has been judged. An
    upload that fails, or a boot test that cannot be run, says nothing against the VM.
    """
    failed = False
    try:
        yield
    except Exception as error:
        failed = not isinstance(leaf_of(error), _NOT_ITS_FAULT)
        raise
    finally:
        outcome = await context.host.settle(context.build_exit, failed=failed)
    if outcome and outcome.clean_up in {CleanUp.REMAINS, CleanUp.UNKNOWN}:
        for sentence in outcome.sentences:
            context.warn("host-remains", sentence)


async def publish_built(build_plan: BuildPlan, services: Services, built: Built) -> Outcome:
    """Publish what an interrupted run had built: the upload goes on from what the store has."""
    context = RunContext(build_plan, services, built)
    try:
        outcome: Outcome = await _publish_built(context, built)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await context.note_state(UnitState.BUILT)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the neighbours go on
        outcome = await _failed(context, leaf_of(error))
    services.reporter.emit(TemplateFinished(unit=context.unit, outcome=outcome))
    return outcome


async def _publish_built(context: RunContext, built: Built) -> Published:
    context.on_phase(Phase.VERIFY)
    async with open_export(context, follow=False) as export:
        context.sealed = await context.log_sealed_before()
        upload = await export.deliver(built.xva_path, resume=True)
        context.judge(upload.verdict)
        await booted.test_before_publishing(context, built.xva_path)
        publication = await _make_visible(context, upload)
        # before the upload's journal goes: until then --resume finds its own image by it
        await context.note_state(UnitState.PUBLISHED)
    return await _concluded(context, publication, built.xva_path)


async def _make_visible(context: RunContext, upload: UploadSession) -> Publication:
    assert context.sealed is not None
    context.on_phase(Phase.PUBLISH)
    services = context.services
    for warning in await take_place_found_late(
        services.store, context.plan, context.name, services.facts, take_over=services.take_over
    ):
        context.warn("place", warning)
    publication = await publish.publish(
        context.destination,
        context.folder_key,
        upload,
        context.sealed,
        context.compose,
        attestation=attestation_of(services.signer),
    )
    return await context.move_pointer(publication)


async def _concluded(context: RunContext, publication: Publication, xva_path: Path) -> Published:
    if not context.services.keep_xva:
        try:
            await Disk(xva_path.name).call(_unlink, xva_path)
        except OSError as error:  # it is published: that stands
            why = error.strerror or error
            context.warn("xva-left", f"{xva_path} could not be removed: {why}.")
    return context.published(publication)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _failed(context: RunContext, error: BaseException) -> Failed:
    """Say what went wrong and leave the log where people look for it; raises nothing."""
    if not isinstance(error, AsyncpipeError | OSError):
        logger.error("build.unexpected", unit=context.unit, exc_info=error)
    exit_code = error.exit_code if isinstance(error, AsyncpipeError) else EXIT_UNEXPECTED
    text = context.redact(_sentence(error))
    log_url = ""
    with anyio.move_on_after(_FAILURE_PUBLISH_S):
        log_url = await _publish_failure(context, text, exit_code)
    await context.note_state(_state_after(error, context), exit_code=exit_code)
    return context.failed(error, text=text, exit_code=exit_code, log_url=log_url)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"This machine refused: {where}{error.strerror}."
    return str(error) or type(error).__name__


def _state_after(error: BaseException, context: RunContext) -> UnitState:
    """A build whose upload failed, or that nobody could start for a test, is not built again.

    --resume goes on with what is on the disk.
    """
    resumable = context.is_built and isinstance(error, _NOT_ITS_FAULT)
    return UnitState.BUILT if resumable else UnitState.FAILED


async def _leave_cancelled(context: RunContext) -> None:
    """Seal the log and note what remains, within seconds: a second signal may follow."""
    with anyio.move_on_after(_CANCELLED_PUBLISH_S):
        state = UnitState.BUILT if context.is_built else UnitState.CANCELLED
        await context.note_state(state, exit_code=EXIT_CANCELLED)
        await _publish_failure(context, "The build was cancelled.", EXIT_CANCELLED)


async def _publish_failure(context: RunContext, text: str, exit_code: int) -> str:
    """Publish log and metadata of a failure; one that cannot be published is a warning."""
    if context.sealed is not None and not context.sealed.reachable:
        context.warn("failure-log", f"The log is not published: {context.sealed.problem}")
        return ""
    folder_key = store_keys.failed_folder_key(plan.slug(context.unit), context.plan.timestamp)
    try:
        document = metadata.failed(
            context.draft(),
            error=text,
            exit_code=exit_code,
            sealed=context.sealed,
            xva_report=context.xva_report,
            template=context.plan.template,
            known=context.services.secrets,
        )
        return await publish.publish_failure(
            context.destination,
            folder_key,
            context.sealed,
            metadata.encode(document),
            context.screenshot,
        )
    except Exception as problem:
        if not isinstance(problem, AsyncpipeError | OSError):
            logger.exception("build.unexpected", unit=context.unit)
        why = context.redact(_sentence(leaf_of(problem)))
        context.warn("failure-log", f"The log could not be published: {why}")
        return ""
