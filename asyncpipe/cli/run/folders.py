"""Where a run writes: kept out of the user's ``git status``, and out of a checkout's way."""

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


def refuse_workspace(settings: Settings) -> None:
    """Refuse to publish into a workspace of GitHub Actions: the next checkout there empties it.

    An unset variable gives the default destination, which lies there, and a mistyped URL
    (``s3:/bucket``) is a relative path: such a run would be green and publish nothing that stays.

    Raises:
        UsageError: the destination is a folder in the workspace.
    """
    workspace = settings.environment.get("GITHUB_WORKSPACE", "")
    if not settings.on_github or not workspace or settings.destination.startswith("s3://"):
        return
    if folder_of(settings.destination).resolve().is_relative_to(Path(workspace).resolve()):
        raise UsageError(
            f"The destination {settings.destination} is a folder in the workspace: the next"
            " checkout would delete what is published there.",
            hint="Name s3://bucket/prefix, or a folder outside of the workspace. Is the variable"
            " that holds the destination (vars.ASYNCPIPE_DESTINATION) set, and spelt so?",
        )
