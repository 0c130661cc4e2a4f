"""The run's output folder -> the one XVA that this build made."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from asyncpipe.errors import ArtifactError, XvaInvalidError
from asyncpipe.model.build import BuildExit, BuildPlan
from asyncpipe.text.safe import printable

# A post-processor, or a script of the template, may compress what Packer exported.
_SUFFIXES: Final = (".xva", ".xva.gz", ".xva.zst")
_SHOWN_NAMES: Final = 10
_MOST_ENTRIES: Final = 10_000
_HEAD_BYTES: Final = 512
_CLOCK_SLACK_S: Final = 2.0  # a network file system's clock, and times kept in whole seconds
_BLOCK_BYTES: Final = 512  # of tar: no XVA is smaller
# Of a tar (its name field), gzip and zstd; anything else of printable text is an error page.
_HTTP_BEGINNINGS: Final = (b"HTTP/", b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML", b"<?xml")
_HINT: Final = (
    'Write exactly one XVA (.xva, .xva.gz or .xva.zst): format = "xva" (or "xva_compressed") and '
    "output_directory = var.output_directory in the template."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    path: Path
    name: str  # below the output folder, as it may be shown
    size_bytes: int
    modified_s: float


def collect(plan: BuildPlan, build_exit: BuildExit) -> Path:
    """Find the XVA: a regular file, in the output folder or one below, written by this build.

    It may be compressed; of one that lies beside its compressed copy it is the former.

    Raises:
        ArtifactError: none, or more than one.
        XvaInvalidError: it is empty, or an HTTP error page that was saved under its name (the
            plugin does not look at the status).
    """
    folder = plan.output_directory
    try:
        files = list(_regular_files(folder))
    except OSError as error:
        raise _unreadable(folder, error) from error
    found = [file for file in files if file.name.lower().endswith(_SUFFIXES)]
    started_s = datetime.fromisoformat(build_exit.started_utc).timestamp() - _CLOCK_SLACK_S
    fresh = [file for file in found if file.modified_s >= started_s]
    images = {_image_name(file): file for file in sorted(fresh, key=lambda one: -len(one.name))}
    if len(images) != 1:
        raise _none_or_many(folder, files, found, list(images.values()))
    (image,) = images.values()
    _refuse_error_page(image)
    return image.path


def _image_name(file: _Found) -> str:
    name = file.name.lower()
    return name[: name.rindex(".xva")]


def written_bytes(folder: Path) -> int:
    """Return how much of an export is in the output folder so far; 0 where it cannot be read."""
    try:
        return sum(file.size_bytes for file in _regular_files(folder))
    except (OSError, ArtifactError):
        return 0


def _none_or_many(
    folder: Path, files: list[_Found], found: list[_Found], fresh: list[_Found]
) -> ArtifactError:
    where = printable(str(folder), 500)
    if fresh:
        return ArtifactError(
            f"Packer left {len(fresh)} XVAs in {where}: {_names(fresh)}.",
            hint="One template publishes one XVA: build one source (--only) per run.",
        )
    if found:
        return ArtifactError(
            f"No XVA of this build in {where}: {_names(found)} is older than its start.", hint=_HINT
        )
    others = f"; it holds {_names(files)}" if files else ""
    return ArtifactError(f"Packer ended well but left no XVA in {where}{others}.", hint=_HINT)


def _names(files: list[_Found]) -> str:
    names = sorted(file.name for file in files)
    rest = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _regular_files(folder: Path) -> Iterator[_Found]:
    """Yield the regular files in ``folder`` and one level below; links are not followed."""
    for entry in _entries(folder):
        below = entry.is_dir(follow_symlinks=False)
        for candidate in _entries(Path(entry.path)) if below else [entry]:
            if file := _found(candidate, folder):
                yield file


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as scan:
            return [entry for entry, _ in zip(scan, range(_MOST_ENTRIES), strict=False)]
    except FileNotFoundError:
        return []


def _unreadable(folder: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"Cannot read the output folder {printable(str(folder), 500)}: {error.strerror}.",
        hint="Check its permissions; Packer must run as the same user.",
    )


def _found(entry: os.DirEntry[str], folder: Path) -> _Found | None:
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return None
    return _Found(
        path=Path(entry.path),
        name=printable(os.path.relpath(entry.path, folder), 200),
        size_bytes=status.st_size,
        modified_s=status.st_mtime,
    )


def _refuse_error_page(file: _Found) -> None:
    if not file.size_bytes:
        raise XvaInvalidError(
            f"The XVA {file.name} is empty: the host sent nothing.",
            hint="Look at the host's log (/var/log/xensource.log) and at its free space.",
        )
    head = _head(file)
    if head.startswith(_HTTP_BEGINNINGS) or file.size_bytes < _BLOCK_BYTES:
        line = next((line for line in head.split(b"\n") if line.strip()), b"")
        shown = printable(line.strip().decode("utf-8", "backslashreplace"), 200)
        raise XvaInvalidError(
            f"{file.name} is not an XVA: its {file.size_bytes} bytes begin with: {shown}",
            hint="The host answered the export with an error; Packer saves it and ends well. "
            "Look at the host's log (/var/log/xensource.log).",
        )


def _head(file: _Found) -> bytes:
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _HEAD_BYTES).lstrip()
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ArtifactError(
            f"Cannot read the XVA {file.name}: {error.strerror}.",
            hint="Packer must run as the same user.",
        ) from error
