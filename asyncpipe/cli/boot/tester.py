"""What a person asked of boot tests: the script of ``--boot-check``, and who runs the tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncpipe.errors import UsageError
from asyncpipe.model.boot.result import BootHow
from asyncpipe.settings import Settings
from asyncpipe.system.files import read_regular

if TYPE_CHECKING:
    from asyncpipe.boot.tester import Tester

_MAX_BYTES: Final = 1024 * 1024


def _read_script(path: Path | None) -> str | None:
    """Read a person's script, None where there is none.

    Raises:
        UsageError: it cannot be read, or is no text.
    """
    if path is None:
        return None
    try:
        return read_regular(path, max_bytes=_MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"--boot-check: {path} is no text in UTF-8.") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(f"--boot-check: {path} cannot be read: {why}.") from error


def boot_tester_of(settings: Settings) -> Tester | None:
    """Who tests the images of a run, before anything is built; None: nobody was asked to.

    Raises:
        UsageError: something is missing on this machine, or ``--boot-check`` cannot be read.
    """
    if settings.boot_test is BootHow.OFF:
        return None
    return new_tester(settings)


def new_tester(settings: Settings) -> Tester:
    """A tester that found all it needs; raises as ``boot_tester_of``."""
    from asyncpipe.boot.tester import Tester
    from asyncpipe.system.process import SystemProcessRunner

    tester = Tester(
        SystemProcessRunner(),
        settings.environment,
        login_s=settings.boot_timeout_s,
        script=_read_script(settings.boot_check),
    )
    tester.require()
    return tester
