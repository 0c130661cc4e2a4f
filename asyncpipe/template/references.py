"""Which files of the machine a template uses besides its own: scripts, CD and HTTP content.

Packer resolves such paths against its working directory; the template's folder is tried next.
A command that names a script (``inline = ["exec sh common/make.sh"]``) uses it too.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from asyncpipe.model.template import Reference, Value

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
_COMMANDS: Final = frozenset({"inline", "command"})
_MAX_WORDS: Final = 500
_MAX_FILES: Final = 2000
_MAX_PATH_CHARS: Final = 1000


def named_by(attributes: Mapping[str, Value], step_type: str = "") -> list[Reference]:
    """Return what the attributes of a source or step name: paths, globs, words of commands.

    ``step_type`` is a provisioner or post-processor: only those that run here name files here.
    """
    found: list[Reference] = []
    for name, value in attributes.items():
        if name in ATTRIBUTES:
            found += (Reference(text=text) for text in _strings(value))
        elif name in _COMMANDS and step_type == "shell-local":
            words = (word for text in _strings(value) for word in _words(text))
            found += (
                Reference(text=word, is_word=True) for word in itertools.islice(words, _MAX_WORDS)
            )
    return found


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command, comments=True)
    except ValueError:  # a quote that ends on another line
        words = command.split()
    return [word for word in words if "/" in word or "." in word]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def usable(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Return those that can name a file, each once."""
    return tuple(one for one in dict.fromkeys(references) if _can_be_a_path(one.text))


def _can_be_a_path(text: str) -> bool:
    return bool(text) and len(text) <= _MAX_PATH_CHARS and "\0" not in text and "://" not in text


def existing(references: Iterable[Reference], folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that exist, sorted: a folder with all files below it; bounded."""
    roots = list(folders)
    found: set[Path] = set()
    for one in references:
        for path in _find(one.text, roots):
            if not one.is_word:
                found.update((path, *_below(path)))
            elif path.is_file():
                found.add(path)
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
