"""What ``url`` prints: an address that fetches an XVA without credentials, for a while."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, cast

from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog.said import Said
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import duration_text, utc_text

# S3 user guide, "Sharing objects with presigned URLs": SigV4 allows seven days
MAX_EXPIRES_S: Final = 7 * 24 * 3600.0
_SESSION: Final = "X-Amz-Security-Token="


class _Linking(Protocol):
    """A store that can sign an address."""

    async def download_url(self, key: str, *, expires_s: int) -> str:
        """Return it."""
        ...


async def url(
    store: ObjectStore, *, template: str, expires_s: float, revoked: bool, expired: bool
) -> Said:
    """Sign an address of an XVA, and write the commands that take it.

    Raises:
        UsageError: more than seven days, or a folder, which has no such addresses.
        ObjectMissingError: the XVA is gone.
    """
    if not 1 <= expires_s <= MAX_EXPIRES_S:
        raise UsageError("--expires is from one second to seven days: S3 allows no more.")
    warnings: list[str] = []
    entry = await catalog.resolve(
        store, template, revoked=revoked, expired=expired, warn=warnings.append
    )
    if not hasattr(store, "download_url"):
        path = store.url_of(entry.xva.key)
        raise UsageError(
            f"A folder has no address that another machine could fetch: the XVA is {path}.",
            hint="asyncpipe import sends it to a host; or serve the folder by HTTP yourself.",
        )
    if await store.head(entry.xva.key) is None:
        raise ObjectMissingError(f"There is no {store.url_of(entry.xva.key)}.")
    signed = await cast("_Linking", store).download_url(entry.xva.key, expires_s=int(expires_s))
    until_utc = utc_text(datetime.now(UTC) + timedelta(seconds=int(expires_s)))
    if _SESSION in signed:
        warnings.append("your credentials are temporary: the address ends when they do")
    commands = _commands(signed, f"{entry.short_id}.xva")
    lasts = f"valid for {duration_text(int(expires_s))}, until {until_utc}"
    lines = [signed, f"{lasts}; whoever has it can fetch the XVA"]
    lines += [f"{name}: {command}" for name, command in commands.items()]
    return Said(
        text="\n".join(lines),
        document={
            "version": to_builtins(entry),
            "url": signed,
            "expires_utc": until_utc,
            "commands": commands,
        },
        warnings=tuple(warnings),
    )


def _commands(address: str, name: str) -> dict[str, str]:
    """What a person copies; quoted for a shell, since an address has ampersands."""
    quoted = shlex.quote(address)
    return {
        "xe": f"xe vm-import url={quoted}",
        "curl": f"curl --fail --location --output {shlex.quote(name)} {quoted}",
        "Xen Orchestra": f"Import > VM > From URL, {address}",
    }
