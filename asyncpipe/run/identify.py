"""What an identity means for a run: what a person is warned of, what strictness refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from asyncpipe import detect
from asyncpipe.errors import IdentityConflictError
from asyncpipe.model.identity import Conflict, OsIdentity


def warnings_of(identity: OsIdentity, folder_key: str) -> Iterator[tuple[str, str]]:
    """Yield (code, message) of each thing that a person should know about the identity."""
    for conflict in identity.conflicts:
        yield "identity-conflict", _text(conflict)
    if identity.os_type is None:
        unknown = f"The operating system is unknown; published under {folder_key}."
        how = "Name it with --os and --os-version, or let provisioning print its evidence."
        yield "identity-unknown", f"{unknown} {how}"
    ended = detect.end_of_life_warning(identity, datetime.now(UTC).date())
    if ended:
        yield "end-of-life", ended


def refuse_contradiction(identity: OsIdentity) -> None:
    """Raise IdentityConflictError when two sources name different systems or series."""
    for conflict in identity.conflicts:
        if conflict.series:
            raise IdentityConflictError(
                _text(conflict),
                hint="Correct the template, say --os/--os-version, or drop --strict-identity.",
            )


def _text(conflict: Conflict) -> str:
    """One sentence: who says what, and what was taken."""
    return (
        f"{conflict.field}: {conflict.chosen_origin} says {conflict.chosen}, "
        f"{conflict.other_origin} says {conflict.other}; {conflict.chosen} was taken."
    )
