"""What ``asyncpipe host trust`` and ``host list`` do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import click

from asyncpipe import catalog
from asyncpipe.errors import (
    EXIT_SOME_FAILED,
    AsyncpipeError,
    HostTrustError,
    ObjectMissingError,
    UsageError,
)
from asyncpipe.host.access import access_of_environment
from asyncpipe.host.connection import certificate_of
from asyncpipe.host.endpoint import endpoint_of
from asyncpipe.host.pool import open_pool
from asyncpipe.host.trust import fingerprint_of, parse_fingerprint, shown, store_known
from asyncpipe.model.host import VERSION_KEY, HostAccess
from asyncpipe.settings import Settings
from asyncpipe.stores.open import open_store
from asyncpipe.text.safe import clean


def trust(given: dict[str, Any], *, environment: Mapping[str, str]) -> int:
    """Show a host's fingerprint and store it."""
    address, expected = given.pop("address"), given.pop("fingerprint")
    replace, yes = given.pop("replace"), given.pop("yes")
    settings = Settings.of(given, environment=environment)
    endpoint = endpoint_of(address)
    found = fingerprint_of(anyio.run(certificate_of, endpoint))
    click.echo(f"{endpoint}  SHA-256 {shown(found)}")
    if expected is not None and parse_fingerprint(expected) != found:
        raise HostTrustError(f"{endpoint} does not have that fingerprint; nothing was stored.")
    known_hosts = settings.host_trust.known_hosts
    if known_hosts is None:
        raise UsageError("No file of known hosts was named.", hint="--known-hosts FILE")
    if not (yes or expected or click.confirm("Is that the host's? Store it", default=False)):
        click.echo("Nothing was stored.")
        return UsageError.exit_code
    new = store_known(known_hosts, endpoint, found, replace=replace)
    click.echo(f"{'Stored' if new else 'Already stored'} in {known_hosts}")
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One version of ours on a host."""

    host: str
    vm_name: str
    vm_uuid: str
    version: str
    latest: str | None  # None: not known

    @property
    def state(self) -> str:
        """``latest``, ``behind``, or ``unknown``."""
        if self.latest is None:
            return "unknown"
        return "latest" if self.latest == self.version else "behind"


def list_versions(given: dict[str, Any], *, environment: Mapping[str, str]) -> int:
    """List what each host holds; returns 4 when some host could not be asked."""
    hosts, username, as_json = given.pop("hosts"), given.pop("username"), given.pop("as_json")
    settings = Settings.of(given, environment=environment)
    accesses = [
        access_of_environment(environment, settings.host_trust, address=address, username=username)
        for address in dict.fromkeys(hosts)
    ]
    held, failures = anyio.run(_list, accesses, settings)
    if as_json:
        versions = [{**asdict(one), "state": one.state} for one in held]
        errors = {address: error.message for address, error in failures.items()}
        document = {"schema_version": 1, "versions": versions, "errors": errors}
        click.echo(json.dumps(document, indent=2))
    else:
        _show(held)
        for address, error in failures.items():
            click.echo(f"asyncpipe: {clean(address)}: {clean(error.message)}", err=True)
            click.echo(f"  {clean(error.hint)}", err=True)
    if not failures:
        return 0
    return next(iter(failures.values())).exit_code if len(accesses) == 1 else EXIT_SOME_FAILED


async def _list(
    accesses: Sequence[HostAccess], settings: Settings
) -> tuple[list[Held], dict[str, AsyncpipeError]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    failures: dict[str, AsyncpipeError] = {}

    async def ask(access: HostAccess) -> None:
        try:
            async with open_pool(access) as pool:
                vms = await pool.vms()
        except AsyncpipeError as error:
            failures[access.address] = error
            return
        found[access.address] = [
            (vm.name, vm.uuid, vm.other_config[VERSION_KEY])
            for vm in vms
            if VERSION_KEY in vm.other_config
        ]

    async with anyio.create_task_group() as tasks:
        for access in accesses:
            tasks.start_soon(partial(ask, access))
    versions = {version for rows in found.values() for _, _, version in rows}
    latest = await _latest({version.partition("@")[0] for version in versions}, settings)
    held = [
        Held(
            host=access.address,
            vm_name=name,
            vm_uuid=uuid,
            version=version,
            latest=latest.get(version.partition("@")[0]),
        )
        for access in accesses
        for name, uuid, version in found.get(access.address, ())
    ]
    return held, failures


async def _latest(short_ids: set[str], settings: Settings) -> dict[str, str]:
    """The latest version of each template; what the store cannot list is left out."""
    latest: dict[str, str] = {}
    if not short_ids:
        return latest
    try:
        async with open_store(
            settings.destination, environment=settings.environment, options=settings.store
        ) as store:
            for short_id in sorted(short_ids):
                try:
                    entry = await catalog.resolve(store, short_id)
                except (ObjectMissingError, UsageError):
                    continue
                latest[short_id] = f"{entry.short_id}@{entry.timestamp}"
    except AsyncpipeError as error:
        click.echo(f"asyncpipe: what is latest is not known: {clean(error.message)}", err=True)
    return latest


def _show(held: Sequence[Held]) -> None:
    rows = [(one.host, one.vm_name, one.version, one.state, one.vm_uuid) for one in held]
    if not rows:
        click.echo("No host has a version that asyncpipe imported.")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (clean(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
