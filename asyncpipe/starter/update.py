"""What this version would change in the files that an earlier one laid."""

from __future__ import annotations

import difflib
import hashlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from asyncpipe.starter.files import StarterFile
from asyncpipe.starter.lay import lay
from asyncpipe.system.files import replace_file


class Kind(StrEnum):
    """What happens to a file."""

    NEW = "new"
    CHANGED = "changed"
    GONE = "gone"  # ours no longer needs it
    EDITED = "edited"  # both sides changed it: a person decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file that differs from what this version lays."""

    path: str
    kind: Kind
    before: bytes
    file: StarterFile | None  # None: it goes

    def diff(self) -> str:
        """Return a unified diff that git apply takes."""
        after = self.file.body if self.file else b""
        lines = difflib.unified_diff(
            self.before.decode("utf-8", "replace").splitlines(keepends=True),
            after.decode("utf-8", "replace").splitlines(keepends=True),
            "/dev/null" if self.kind is Kind.NEW else f"a/{self.path}",
            "/dev/null" if self.file is None else f"b/{self.path}",
        )
        return "".join(_ended(lines))


def changes(
    root: Path, files: Mapping[str, StarterFile], laid: Mapping[str, str]
) -> Iterator[Change]:
    """Compare the repository with ``files``; ``laid`` are the digests of what was laid.

    A file that its owner removed stays removed; one that its owner alone changed stays as it is.
    """
    for path in sorted({*files, *laid}):
        file, target = files.get(path), root / path
        if not target.is_file():
            if file is not None and path not in laid:
                yield Change(path=path, kind=Kind.NEW, before=b"", file=file)
            continue
        before = target.read_bytes()
        if file is not None and (before == file.body or laid.get(path) == file.sha256_hex):
            continue
        kind = Kind.GONE if file is None else Kind.CHANGED
        if hashlib.sha256(before).hexdigest() != laid.get(path) or _leads_away(root, target):
            kind = Kind.EDITED
        yield Change(path=path, kind=kind, before=before, file=file)


def _leads_away(root: Path, target: Path) -> bool:
    """Whether a link stands there, or on the way there: what it leads to is not ours to change."""
    return target.resolve() != root.resolve() / target.relative_to(root)


def apply(root: Path, found: list[Change]) -> None:
    """Make the changes, but for files that their owner edited.

    Raises:
        OSError: the disk.
    """
    for one in found:
        target = root / one.path
        if one.kind is Kind.NEW and one.file is not None:
            lay(root, {one.path: one.file})
        elif one.kind is Kind.CHANGED and one.file is not None:
            replace_file(target, one.file.body, mode=stat.S_IMODE(target.stat().st_mode))
        elif one.kind is Kind.GONE:
            target.unlink()


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
