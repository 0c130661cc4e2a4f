"""Names that a person may have meant: templates below a folder, published templates. Bounded."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_MAX_FOLDERS: Final = 2000
_ENDINGS: Final = (".pkr.hcl", ".pkr.json")


def template_folders(root: Path) -> Iterator[str]:
    """Folders with a template below ``root``, relative to it; dot folders are left out."""
    for number, (folder, names, files) in enumerate(os.walk(root)):
        if number >= _MAX_FOLDERS:
            return
        names[:] = sorted(name for name in names if not name.startswith("."))
        if any(name.endswith(_ENDINGS) for name in files):
            yield os.path.relpath(folder, root)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``Did you mean x or y?``, "" when nothing resembles ``name``."""
    close = difflib.get_close_matches(name.rstrip("/"), list(known), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else ""
