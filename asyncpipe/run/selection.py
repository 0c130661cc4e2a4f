"""Which builds --only and --except leave, and what a person may have meant by a name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.template.select import chooser

_MAX_NAMED: Final = 20
_MAX_FOLDERS: Final = 2000
_ENDINGS: Final = (".pkr.hcl", ".pkr.json")


def chosen(
    builds: Mapping[str, str], only: Sequence[str], except_: Sequence[str]
) -> frozenset[str]:
    """Return the names of the builds that are left.

    Args:
        builds: our name of each build -> Packer's, "" where it has none.
        only: globs as Packer writes them (commas separate several); either name may match.
        except_: likewise.

    Raises:
        UsageError: a glob matches no build, or none is left.
    """
    wanted = _matching("--only", builds, only) if only else frozenset(builds)
    left = wanted - _matching("--except", builds, except_)
    if builds and not left:
        raise UsageError("--only and --except leave no build.", hint=_there_are(builds))
    return left


def _matching(option: str, builds: Mapping[str, str], globs: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for glob in (one.strip() for text in globs for one in text.split(",")):
        is_match = chooser([glob], ())
        matches = {ours for ours, packers in builds.items() if is_match(ours) or is_match(packers)}
        if glob and not matches:
            raise UsageError(f"{option} {glob} matches no build.", hint=_there_are(builds))
        found |= matches if glob else set()
    return frozenset(found)


def _there_are(builds: Mapping[str, str]) -> str:
    names = [
        f"{ours} ({packers})" if packers and packers != ours else ours
        for ours, packers in builds.items()
    ]
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"The builds are {', '.join(names[:_MAX_NAMED])}{more}."


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
