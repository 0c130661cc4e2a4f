"""What becomes of a VM once its XVA is imported: its network, name, origin, and who makes room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from asyncpipe.errors import HostMissingError
from asyncpipe.host.pool import XapiPool
from asyncpipe.host.records import NULL, Record, references, text, texts
from asyncpipe.host.stream import ImportSource
from asyncpipe.model.host import DIGEST_KEY, ORIGIN_KEY, TAG, VERSION_KEY, Mark

_OURS: Final = "asyncpipe:"
_VIF_FIELDS: Final = (
    "VM", "device", "MAC", "MTU", "other_config", "qos_algorithm_type", "qos_algorithm_params",
)  # fmt: skip
_NEW_VIF: Final[dict[str, object]] = {
    "device": "0", "MAC": "", "MTU": "1500", "other_config": {}, "qos_algorithm_type": "",
    "qos_algorithm_params": {},
}  # fmt: skip
_VIF_DEFAULTS: Final[dict[str, dict[str, str]]] = {"qos_algorithm_params": {}, "other_config": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnishing:
    """What is asked for; ``older`` are templates of ours that have the name until now."""

    source: ImportSource
    name: str | None  # of the template; None: it stays what it is; empty: it keeps its name
    network: str | None  # reference
    older: Sequence[tuple[str, Record]] = ()
    mark: Mark | None = None  # of the run that it is imported for


async def furnish(
    pool: XapiPool, ref: str, furnishing: Furnishing, sha256_hex: str
) -> tuple[str, ...]:
    """Finish an imported VM; returns the new names of the templates that made room."""
    call = pool.session.call
    record: Record = await call("VM.get_record", ref)
    if furnishing.network is not None:
        for vif in references(record.get("VIFs")):
            await _move(pool, vif, furnishing.network)
    await _take_our_keys(pool, "VM", ref, record)
    if furnishing.mark is not None:
        await _mark(pool, ref, record, furnishing.mark)
    source = furnishing.source
    origin = {VERSION_KEY: source.version, ORIGIN_KEY: source.origin, DIGEST_KEY: sha256_hex}
    for key, value in origin.items():
        if value:
            await call("VM.add_to_other_config", ref, key, value)
    await call("VM.add_tags", ref, TAG)
    if furnishing.name is None:
        return ()
    what = source.version or source.name
    description = f"{what}, sha256:{sha256_hex}, imported from {source.origin or source.name}"
    await call("VM.set_name_description", ref, description)
    await call("VM.set_is_a_template", ref, True)  # noqa: FBT003 - XAPI's argument
    return await rename(pool, ref, record, furnishing)


async def _take_our_keys(pool: XapiPool, kind: str, ref: str, record: Record) -> None:
    """Remove what the exported VM or disk carried: it means nothing here."""
    for key in texts(record.get("other_config")):
        if key.startswith(_OURS):
            await pool.session.call(f"{kind}.remove_from_other_config", ref, key)


async def _mark(pool: XapiPool, ref: str, record: Record, mark: Mark) -> None:
    for vbd in references(record.get("VBDs")):
        drive: Record = await pool.session.call("VBD.get_record", vbd)
        vdi = str(drive.get("VDI", NULL))
        if drive.get("type") != "CD" and vdi != NULL:
            disk: Record = await pool.session.call("VDI.get_record", vdi)
            await _take_our_keys(pool, "VDI", vdi, disk)
    await pool.mark_vm(ref, mark)


async def keep_one_card(pool: XapiPool, ref: str, network: str | None) -> None:
    """Leave a VM one network card, on ``network``, or where its first one is.

    One that has none gets one on ``network``, or on the network of the pool's management.

    Raises:
        HostError: the host refuses.
    """
    cards: dict[str, Record] = {}
    for vif in references(await pool.session.call("VM.get_VIFs", ref)):
        cards[vif] = await pool.session.call("VIF.get_record", vif)
    in_order = sorted(cards, key=lambda vif: text(cards[vif], "device"))
    for vif in in_order[1:]:
        await pool.session.call("VIF.destroy", vif)
    if not in_order:
        where = network or await _management(pool)
        await pool.session.call("VIF.create", {**_NEW_VIF, "VM": ref, "network": where})
    elif network is not None:
        await _move(pool, in_order[0], network)


async def _management(pool: XapiPool) -> str:
    cards: dict[str, Record] = await pool.session.call("PIF.get_all_records")
    for one in cards.values():
        if one.get("management"):
            return str(one.get("network"))
    raise HostMissingError(f"{pool.session.endpoint} has no management network.")


async def rename(
    pool: XapiPool, ref: str, record: Record, furnishing: Furnishing
) -> tuple[str, ...]:
    """Give a template its name, then move those away that had it: never is there none."""
    call = pool.session.call
    if furnishing.name and text(record, "name_label") != furnishing.name:
        await call("VM.set_name_label", ref, furnishing.name)
    renamed: list[str] = []
    for older, older_record in furnishing.older:
        if older == ref:
            continue
        name = texts(older_record.get("other_config"))[VERSION_KEY]
        await call("VM.set_name_label", older, name)
        renamed.append(name)
    return tuple(renamed)


async def _move(pool: XapiPool, vif: str, network: str) -> None:
    """Put a network card on another network: XAPI can only create it again."""
    record: Record = await pool.session.call("VIF.get_record", vif)
    if record.get("network") == network:
        return
    fields = {name: record.get(name, _VIF_DEFAULTS.get(name, "")) for name in _VIF_FIELDS}
    await pool.session.call("VIF.destroy", vif)
    await pool.session.call("VIF.create", {**fields, "network": network})
