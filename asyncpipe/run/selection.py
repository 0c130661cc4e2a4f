"""The builds that --only and --except leave, and suggestions for names that do not exist."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.template.select import chooser

_MAX_NAMED: Final = 20
_MAX_FOLDERS: Final = 2000
_ENDINGS: Final = (".pkr.hcl", ".pkr.json")


def chosen(
    builds: Mapping[str, str],
    only: Sequence[str],
    except_: Sequence[str],
    post_processors: Collection[str] = (),
) -> frozenset[str]:
    """Return the names of the builds that are left.

    Args:
        builds: our name of each build -> Packer's, "" where it has none.
        only: globs as Packer writes them (commas separate several); either name may match.
        except_: likewise, and of post-processors.
        post_processors: names of those that the builds have.

    Raises:
        UsageError: a glob matches no build, or none is left.
    """
    wanted = _matching("--only", builds, only) if only else frozenset(builds)
    left = wanted - _matching("--except", builds, except_, post_processors)
    if builds and not left:
        raise UsageError("--only and --except leave no build.", hint=_there_are(builds))
    return left


def post_processors_left_out(names: Iterable[str], except_: Sequence[str]) -> tuple[str, ...]:
    """Return the post-processors that ``--except`` names: Packer skips them and what follows."""
    if not any(text.strip(" ,") for text in except_):
        return ()
    is_match = chooser(except_, ())
    return tuple(dict.fromkeys(name for name in names if is_match(name)))


def _matching(
    option: str,
    builds: Mapping[str, str],
    globs: Sequence[str],
    post_processors: Collection[str] = (),
) -> frozenset[str]:
    found: set[str] = set()
    for glob in filter(None, (one.strip() for text in globs for one in text.split(","))):
        is_match = chooser([glob], ())
        matches = {ours for ours, packers in builds.items() if is_match(ours) or is_match(packers)}
        if not matches and not any(is_match(name) for name in post_processors):
            what = "build or post-processor" if post_processors else "build"
            hint = _there_are(builds, post_processors)
            raise UsageError(f"{option} {glob} matches no {what}.", hint=hint)
        found |= matches
    return frozenset(found)


def _there_are(builds: Mapping[str, str], post_processors: Collection[str] = ()) -> str:
    names = [
        f"{ours} ({packers})" if packers and packers != ours else ours
        for ours, packers in builds.items()
    ]
    there_are = f"The builds are {_listed(names)}."
    if post_processors:
        there_are += f" The post-processors are {_listed(sorted(post_processors))}."
    return there_are


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{', '.join(names[:_MAX_NAMED])}{more}"


def template_folders(root: Path) -> Iterator[str]:
    """Folders with a template below ``root``, relative to it; dot folders are left out."""
    for number, (folder, names, files) in enumerate(os.walk(root)):
        if number >= _MAX_FOLDERS:
            return
        names[:] = sorted(name for name in names if not name.startswith("."))
        if any(name.endswith(_ENDINGS) for name in files):
            yield os.path.relpath(folder, root)
