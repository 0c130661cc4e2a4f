"""What a person asked of boot tests: the script of ``--boot-check``, and who runs the tests."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncpipe.errors import UsageError
from asyncpipe.model.boot.result import BootHow
from asyncpipe.model.host import HostAccess
from asyncpipe.model.template import Template
from asyncpipe.settings import Settings
from asyncpipe.system.files import read_regular

if TYPE_CHECKING:
    from asyncpipe.boot.host.hosted import HostTester
    from asyncpipe.boot.tester import Tester

_MAX_BYTES: Final = 1024 * 1024


def _read_script(path: Path | None) -> str | None:
    """Read the user's script; None without one.

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


def boot_tester_of(settings: Settings, templates: Iterable[Template]) -> Tester | HostTester | None:
    """Who tests the images of a run, before anything is built; None: nobody was asked to.

    Raises:
        UsageError: something is missing on this machine, ``--boot-check`` cannot be read, or it is
            not known at which host the image of one of ``templates`` is to be started.
    """
    if settings.boot_test is BootHow.OFF:
        return None
    if settings.boot_test is BootHow.QEMU:
        return new_tester(settings)
    tester = new_host_tester(settings)
    for template in templates:
        tester.require(template)
    return tester


def new_host_tester(settings: Settings) -> HostTester:
    """A tester that starts images at hosts; who logs in is not looked at yet.

    Raises:
        UsageError: ``--boot-check`` cannot be read.
    """
    from asyncpipe.boot.host.clone import Places
    from asyncpipe.boot.host.hosted import HostTester

    return HostTester(
        partial(_access_of, settings),
        Places(storage=settings.boot_storage, network=settings.boot_network),
        ssh_port=settings.boot_ssh_port,
        login_s=settings.boot_timeout_s,
        script=_read_script(settings.boot_check),
    )


def _access_of(settings: Settings, template: Template | None) -> HostAccess:
    """The host that built it, with the credentials of the build; else that of the environment."""
    from asyncpipe.host.access import access_of_environment, access_of_template

    found = access_of_template(template, settings.host_trust) if template else None
    if found is not None:
        return found
    try:
        return access_of_environment(settings.environment, settings.host_trust)
    except UsageError as error:
        raise UsageError(
            f"--boot-test host: {error.message}",
            hint="Export ASYNCPIPE_HOST and ASYNCPIPE_HOST_PASSWORD (and ASYNCPIPE_HOST_USER if it"
            " is not root), or the template's PKR_VAR_remote_host, _username and _password.",
        ) from error


def new_tester(settings: Settings) -> Tester:
    """A tester that starts images in QEMU and found all it needs; raises as ``boot_tester_of``."""
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
