"""Write our files into a repository; what is there already is never touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from asyncpipe.starter.files import StarterFile
from asyncpipe.system.files import make_folder


def collisions(root: Path, files: Mapping[str, StarterFile], ours: Mapping[str, str]) -> list[str]:
    """Name what stands where we would write, or beside it in a template's folder.

    ``ours`` are the digests of what an earlier ``init`` laid: such a file is no collision, even if
    it was changed since; it is left as it is.
    """
    found = {path for path, file in files.items() if _is_taken(root, file) and path not in ours}
    folders = {str(Path(path).parent) for path in files if path.endswith(".pkr.hcl")}
    for folder in folders:  # Packer reads every file of the folder as one template
        theirs = {p.relative_to(root).as_posix() for p in (root / folder).glob("*.pkr.*")}
        found |= theirs - set(files) - set(ours)
    return sorted(found)


def _is_taken(root: Path, file: StarterFile) -> bool:
    target = root / file.path
    if not os.path.lexists(target):
        blocked = next((one for one in target.parents if os.path.lexists(one)), root)
        return not blocked.is_dir() or not blocked.resolve().is_relative_to(root.resolve())
    try:
        return target.is_symlink() or target.read_bytes() != file.body
    except OSError:
        return True


def lay(root: Path, files: Mapping[str, StarterFile]) -> list[str]:
    """Write the files that are not there; returns their paths. After an error none of them stays.

    Raises:
        OSError: the disk.
    """
    made: list[str] = []
    try:
        for path, file in files.items():
            target = root / path
            if os.path.lexists(target):
                continue
            make_folder(target.parent)
            mode = 0o777 if file.is_executable else 0o666
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            made.append(path)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(file.body)
    except BaseException:
        for path in made:
            (root / path).unlink(missing_ok=True)
        raise
    return made
