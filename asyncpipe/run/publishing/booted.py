"""The boot test of an image between its verdict and its publication."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import msgspec

from asyncpipe.errors import BootTestFailedError, BootTestNotRunError, HostError
from asyncpipe.model.boot.machine import Subject
from asyncpipe.model.boot.result import (
    FOLDER_NAME,
    SCREENSHOT_NAME,
    BootHow,
    BootResult,
    result_to_dict,
)
from asyncpipe.model.build import Phase
from asyncpipe.model.documents.boot_test import BootTest
from asyncpipe.model.store_keys import LOG_NAME
from asyncpipe.system.disk import Disk
from asyncpipe.system.files import read_regular, replace_file

if TYPE_CHECKING:
    from asyncpipe.run.context import RunContext
    from asyncpipe.run.log import BuildLog

_PASSED_NAME: Final = "boot-test.json"  # beside build.log: a resumed run need not test again
_LOG_NAME: Final = "boot-test.log"  # until it is added to a build.log that was sealed before
_MAX_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 1024 * 1024
_APPEND_S: Final = 5.0


class BootTester(Protocol):
    """Starts an image once (``boot/tester.py``, ``boot/host/hosted.py``)."""

    async def test_file(
        self,
        xva: Path,
        folder: Path,
        on_console: Callable[[bytes], Awaitable[None]],
        subject: Subject,
    ) -> BootResult:
        """Test an XVA; ``folder`` is made for it, and gone afterwards.

        Raises:
            BootTestNotRunError, HostError: this machine, or the host, cannot start it.
        """
        ...


async def test_built(context: RunContext, log: BuildLog, xva: Path) -> None:
    """Test what was built just now; the console goes into the log, to nobody who listens to it.

    Raises:
        BootTestFailedError: the image is not to be published.
    """
    tester = context.services.boot_tester
    if tester is None:
        return
    log.dismiss()
    try:
        await _tested(context, tester, log, xva)
    except (BootTestNotRunError, HostError):
        await context.keep_for_resume(xva)  # with what was masked since
        raise


async def test_before_publishing(context: RunContext, xva: Path) -> None:
    """Test what an earlier process built, unless it passed there; as ``test_built``."""
    tester, folder = context.services.boot_tester, context.plan.run_directory
    if tester is None:
        return
    disk = Disk(_PASSED_NAME)
    context.boot_test = await disk.call(_passed_before, folder)
    if context.boot_test is not None:
        return
    await disk.call(_unlink, folder / _LOG_NAME)
    try:
        async with context.log_at(folder / _LOG_NAME) as log:
            await _tested(context, tester, log, xva)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_APPEND_S):
            await disk.call(_append, folder)
            context.sealed = await context.log_sealed_before()


async def _tested(context: RunContext, tester: BootTester, log: BuildLog, xva: Path) -> None:
    folder = context.plan.run_directory
    context.on_phase(Phase.BOOT_TEST)
    await log.note("boot test: the image is started as a clone would be; its console follows")
    run_id, template = context.services.journal.run_id, context.plan.template
    subject = Subject(run_id=run_id, unit=context.unit, template=template)
    result = await tester.test_file(xva, folder / FOLDER_NAME, log.feed, subject)
    for sentence in result.remains:
        context.warn("host-remains", sentence)
    await _write_result(log, result)
    context.boot_test = result_to_dict(result)
    context.screenshot = result.screenshot
    disk = Disk(_PASSED_NAME)
    if result.passed:
        body = json.dumps(context.boot_test).encode()
        await disk.call(lambda: replace_file(folder / _PASSED_NAME, body, mode=0o600))
        return
    if result.screenshot:
        await disk.call((folder / SCREENSHOT_NAME).write_bytes, result.screenshot)
    raise BootTestFailedError(
        f"The image failed its boot test: {result.says}", hint=_where_to_look(result)
    )


def _where_to_look(result: BootResult) -> str:
    screen = "; screenshot.png beside it shows its screen" if result.screenshot else ""
    what = "what was checked" if result.how is BootHow.HOST else "its console"
    return f"The end of build.log has {what}{screen}."


async def _write_result(log: BuildLog, result: BootResult) -> None:
    if result.check_output:
        await log.note("boot test: this is the output of --boot-check:")
        await log.feed(result.check_output.encode())
    for one in result.checks:
        await log.note(f"boot test: {one.name}: {one.outcome.value}: {one.says}")
    ended = "passed" if result.passed else f"FAILED: {result.reason}: {result.says}"
    await log.note(f"boot test: {ended}")


def _passed_before(folder: Path) -> Mapping[str, object] | None:
    """What an earlier process found, if the image passed there."""
    try:
        body = read_regular(folder / _PASSED_NAME, max_bytes=_MAX_BYTES)
        found: Any = msgspec.json.decode(body, type=BootTest)
    except (OSError, msgspec.DecodeError):
        return None
    return msgspec.to_builtins(found) if found.passed else None


def _append(folder: Path) -> None:
    """Add what a test wrote to the log that is published."""
    path = folder / _LOG_NAME
    try:
        with path.open("rb") as added, (folder / LOG_NAME).open("ab") as log:
            while piece := added.read(_PIECE_BYTES):
                log.write(piece)
    except FileNotFoundError:
        return
    path.unlink()


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
