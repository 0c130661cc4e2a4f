"""Which files of a checkout changed since a commit, as git says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.ports import Command
from asyncpipe.system.capture import capture
from asyncpipe.system.process import SystemProcessRunner

_GIT_S: Final = 60.0
_MAX_DIFF_BYTES: Final = 64 * 1024 * 1024


async def changed_files(ref: str, root: Path, environment: Mapping[str, str]) -> list[Path]:
    """Return what differs between ``ref`` and the files at ``root``, relative to it.

    Raises:
        UsageError: git does not know the commit, or ``root`` is no checkout.
    """
    # --end-of-options: a name that begins with a dash is a name; --relative: paths from here
    arguments = ("--name-only", "--no-renames", "--relative", "-z", "--end-of-options", ref, "--")
    command = Command(argv=("git", "diff", *arguments), cwd=root, environment=environment)
    answer = await capture(
        SystemProcessRunner(), command, timeout_s=_GIT_S, max_bytes=_MAX_DIFF_BYTES
    )
    if answer.return_code != 0:
        raise UsageError(
            f"git does not know the commit {ref!r}, or this folder is not a checkout.",
            hint="In a workflow, fetch the history: actions/checkout with fetch-depth: 0.",
        )
    return [Path(name) for name in answer.text.split("\0") if name]
