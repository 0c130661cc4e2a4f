"""Names a person types -> templates: folders, files, globs."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from asyncpipe.errors import TemplateError, UsageError
from asyncpipe.run import selection
from asyncpipe.text.similar import did_you_mean

_TEMPLATE_NAMES: Final = ("*.pkr.hcl", "*.pkr.json")


def discover(patterns: Sequence[str], root: Path) -> list[Path]:
    """Expand folders and globs to templates, in a stable order, each once.

    A folder that holds template files is one template; any other is searched below.

    Raises:
        TemplateError: a name that matches nothing.
        UsageError: an empty name, which would mean all that is below the current folder.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        if not pattern.strip():
            raise UsageError(
                "The name of a template is empty.",
                hint="Is a variable of the command unset? For the current folder write a dot.",
            )
        matches = _matches(pattern, root)
        if not matches:
            raise TemplateError(
                f"{pattern}: no such template.",
                hint=_meant(pattern, root)
                or "Name a .pkr.hcl file, a .json template, or a folder that holds one.",
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def named_exactly(patterns: Sequence[str], root: Path) -> frozenset[Path]:
    """The templates that ``patterns`` name one by one: by their own folder or file."""
    return frozenset(
        Path(pattern)
        for pattern in patterns
        if (root / pattern).exists() and _matches(pattern, root) == [Path(pattern)]
    )


def _meant(pattern: str, root: Path) -> str:
    """Suggest templates that are called alike."""
    return did_you_mean(pattern, selection.template_folders(root))


def _matches(pattern: str, root: Path) -> list[Path]:
    path = Path(pattern)
    if (root / path).is_dir():
        return _templates_below(path, root)
    if (root / path).exists():
        return [path]
    if any(char in pattern for char in "*?["):
        hits = sorted(hit.relative_to(root) for hit in root.glob(pattern))
        folders = [t for hit in hits if (root / hit).is_dir() for t in _templates_below(hit, root)]
        return folders + [hit for hit in hits if hit.name.endswith((".pkr.hcl", ".pkr.json"))]
    return []


def _templates_below(folder: Path, root: Path) -> list[Path]:
    if any(_named_template(entry.name) for entry in (root / folder).iterdir()):
        return [folder]
    below = {
        file.parent.relative_to(root)
        for pattern in _TEMPLATE_NAMES
        for file in (root / folder).rglob(pattern)
        if not any(part.startswith(".") for part in file.relative_to(root / folder).parts)
    }
    return sorted(below) or [folder]


def _named_template(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _TEMPLATE_NAMES)
