"""Keeps the folders that we make out of the user's ``git status``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.settings import Settings
from asyncpipe.stores.open import folder_of

_IGNORE: Final = "# made by asyncpipe: what is built here is not part of the repository\n*\n"


def not_there_yet(settings: Settings) -> tuple[Path, ...]:
    """The work folder and a local destination, as far as they do not exist."""
    folders = [settings.work_directory]
    with suppress(UsageError):  # what is wrong with a destination is said when it is opened
        if not settings.destination.startswith("s3://"):
            folders.append(folder_of(settings.destination))
    return tuple(folder.absolute() for folder in folders if not folder.exists())


def ignore(folders: tuple[Path, ...]) -> None:
    """Write a ``.gitignore`` into each; a folder that was there before is its owner's business."""
    for folder in folders:
        with suppress(OSError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write(_IGNORE)
