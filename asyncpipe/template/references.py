"""Which files of the machine a template uses besides its own: scripts, CD and HTTP content.

Packer resolves such paths against its working directory; the template's folder is tried next.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from asyncpipe.model.template import Value

ATTRIBUTES: Final = frozenset(
    {
        "cd_files",
        "floppy_dirs",
        "floppy_files",
        "http_directory",
        "playbook_dir",
        "playbook_file",
        "playbook_files",
        "role_paths",
        "script",
        "scripts",
        "source",
        "sources",
        "environment_file",
    }
)
_MAX_FILES: Final = 2000
_MAX_PATH_CHARS: Final = 1000


def texts_of(attributes: Mapping[str, Value]) -> list[str]:
    """Return the paths and globs that the attributes of a source or provisioner name."""
    found: list[str] = []
    for name, value in attributes.items():
        if name in ATTRIBUTES:
            found += _strings(value)
    return found


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def existing(texts: Iterable[str], folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that exist, sorted: a folder with all files below it; bounded."""
    roots = list(folders)
    found: set[Path] = set()
    for text in dict.fromkeys(texts):
        if text and len(text) <= _MAX_PATH_CHARS and "\0" not in text and "://" not in text:
            for path in _find(text, roots):
                found.update((path, *_below(path)))
        if len(found) > _MAX_FILES:
            break
    return tuple(sorted(found)[:_MAX_FILES])


def _below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (path for path in folder.rglob("*") if path.is_file())
    return list(itertools.islice(files, _MAX_FILES))


def _find(text: str, roots: list[Path]) -> list[Path]:
    for root in roots:
        try:
            if (root / text).exists():
                return [root / text]
            if any(char in text for char in "*?[") and not Path(text).is_absolute():
                matches = list(root.glob(text))
                if matches:
                    return matches[:_MAX_FILES]
        except (OSError, ValueError, NotImplementedError, IndexError):
            continue
    return []
