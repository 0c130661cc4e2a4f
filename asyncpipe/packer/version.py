"""Which Packer this is, and whether it is one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio

from asyncpipe.errors import PackerMissingError, UsageError
from asyncpipe.ports import Command, ProcessRunner
from asyncpipe.text.safe import printable

_VERSION_S: Final = 15.0
_VERSION_BYTES: Final = 65536
_OLDEST: Final = (1, 6, 0)  # the first whose HCL2 templates have what ours use
_INSTALL_HINT: Final = (
    "Run `asyncpipe packer install`, or name HashiCorp's Packer with --packer PATH or PACKER=PATH."
)


async def packer_version(
    runner: ProcessRunner, path: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Ask ``path`` for its version, like ``1.6.6``.

    Raises:
        PackerMissingError: it does not start, is not HashiCorp's Packer (cracklib has a program
            of the same name), or is older than 1.6.
    """
    base = environment or {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"}
    command = Command(
        argv=(str(path), "version"),
        cwd=Path("/"),
        environment={**base, "CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1", "PACKER_LOG": ""},
    )
    shown = printable(str(path), 300)
    try:
        with anyio.fail_after(_VERSION_S):
            output = await _output_of(runner, command)
    except UsageError as error:
        raise PackerMissingError(error.message, hint=_INSTALL_HINT) from error
    except TimeoutError as error:
        raise PackerMissingError(
            f"{shown} did not print its version within {_VERSION_S:g} s.", hint=_INSTALL_HINT
        ) from error
    match = re.search(r"^Packer v(\d+)\.(\d+)\.(\d+)(\S*)", output, re.MULTILINE)
    if not match:
        raise PackerMissingError(f"{shown} is not HashiCorp Packer.", hint=_INSTALL_HINT)
    if tuple(map(int, match.group(1, 2, 3))) < _OLDEST:
        raise PackerMissingError(
            f"{shown} is {match.group()}; 1.6.0 is the oldest that works.", hint=_INSTALL_HINT
        )
    return match.group().removeprefix("Packer v")


async def _output_of(runner: ProcessRunner, command: Command) -> str:
    output = b""
    async with runner.start(command) as process:
        while len(output) < _VERSION_BYTES and (data := await process.receive()):
            output += data
    return output.decode("utf-8", "replace")
