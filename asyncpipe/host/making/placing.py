"""Where at a host something new goes: a storage repository with room, a network that exists."""

from __future__ import annotations

from asyncpipe.errors import HostFullError, HostMissingError
from asyncpipe.host.pool import XapiPool
from asyncpipe.host.records import Record, text
from asyncpipe.model.host import StorageRepository
from asyncpipe.text.format import size_text


async def storage_for(pool: XapiPool, wanted: str | None, size_bytes: int, *, option: str) -> str:
    """Find the storage repository of this name or uuid; None: the pool's default.

    It takes disks and has room for ``size_bytes``. Returns its reference; ``option`` is what a
    person writes to name another.

    Raises:
        HostMissingError: none or several match.
        HostFullError: it has no room.
    """
    repositories = await pool.storage()
    found = [one for one in repositories if _is_meant(one, wanted)]
    where = pool.session.endpoint
    if not found:
        named = f"no storage repository {wanted!r}" if wanted else "no default storage repository"
        names = ", ".join(sorted(one.name for one in repositories if not one.is_iso))
        raise HostMissingError(f"{where} has {named}.", hint=f"{option}, one of: {names}")
    if len(found) > 1:
        raise HostMissingError(
            f"{where} has {len(found)} storage repositories {wanted!r}.",
            hint="Name one by its uuid: xe sr-list.",
        )
    if found[0].is_iso:
        raise HostMissingError(f"{found[0].name!r} at {where} holds ISO images, not disks.")
    if found[0].free_bytes < size_bytes:
        raise HostFullError(
            f"{found[0].name!r} at {where} has {size_text(found[0].free_bytes)} free, the XVA has "
            f"{size_text(size_bytes)}.",
            hint=f"Remove what nobody needs, or name another: {option}.",
        )
    return str(await pool.session.call("SR.get_by_uuid", found[0].uuid))


def _is_meant(storage: StorageRepository, wanted: str | None) -> bool:
    return storage.is_default if wanted is None else wanted in {storage.name, storage.uuid}


async def network_for(pool: XapiPool, wanted: str | None) -> str | None:
    """Return the reference of the network of this name or uuid; None where none is wanted.

    Raises:
        HostMissingError: none or several match.
    """
    if wanted is None:
        return None
    records: dict[str, Record] = await pool.session.call("network.get_all_records")
    found = [
        ref
        for ref, one in records.items()
        if wanted in {text(one, "name_label"), text(one, "uuid")}
    ]
    if len(found) == 1:
        return found[0]
    how = "no network" if not found else f"{len(found)} networks"
    names = ", ".join(sorted(text(one, "name_label") for one in records.values()))
    raise HostMissingError(
        f"{pool.session.endpoint} has {how} {wanted!r}.", hint=f"There are: {names}"
    )
