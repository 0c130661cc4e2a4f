"""Which builds --only and --except leave (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.template.select import chooser

_MAX_NAMED: Final = 20


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
