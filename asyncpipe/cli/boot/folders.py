"""The folders of the command's tests: what stays of them, and what a killed one left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from asyncpipe.system.lock import LOCK_NAME

TESTS_NAME: Final = "boot-tests"  # in the work folder


def leave(folder: Path, kept: bool) -> None:  # noqa: FBT001 - called in a thread
    """Remove a test's folder, or its lock alone; and the folder of all tests once it is empty."""
    if kept:
        (folder / LOCK_NAME).unlink(missing_ok=True)
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.rmdir()
    except OSError:  # another test is in it
        return
