"""Run a command of the catalogue: open the store, do what was asked, print what it says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, replace
from importlib import import_module
from typing import Any, Final

import anyio
import click

from asyncpipe.cli.catalog.said import Said
from asyncpipe.errors import ObjectMissingError
from asyncpipe.model import store_keys
from asyncpipe.model.store import StoreOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.report.safe_stream import wants_colour
from asyncpipe.settings import Settings
from asyncpipe.stores.open import open_store


def run(action: str, given: dict[str, Any]) -> int:
    """Do ``action`` at the destination; returns the exit code."""
    as_json = bool(given.pop("as_json"))
    names = {one.name for kind in (Settings, StoreOptions) for one in fields(kind)}
    place = {name: given.pop(name) for name in names & given.keys()}
    settings = Settings.of(place, environment=dict(os.environ))
    said = anyio.run(_with_store, action, settings, given)
    for warning in said.warnings:
        click.echo(f"asyncpipe: {warning}", err=True)
    if said.bare is not None:
        click.echo(json.dumps(said.bare, indent=2))
    elif as_json:
        click.echo(json.dumps({"schema_version": 1, **said.made()}, indent=2))
    elif said.text:
        click.echo(said.text, color=wants_colour(settings.environment, sys.stdout))
    return 0


_NAMING = ("template", "name", "version", "before", "after")  # arguments that name a template
Action = Callable[..., Awaitable[Said]]


async def _with_store(action: str, settings: Settings, options: dict[str, Any]) -> Said:
    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        try:
            said = await _function(action)(store, **options)
        except ObjectMissingError as error:
            from asyncpipe.cli.catalog.listed import meant

            for name in filter(None, map(options.get, _NAMING)):
                error.hint = await meant(store, str(name)) or error.hint
            raise
        if action in _CHANGES:
            said = replace(said, warnings=(*said.warnings, *await _refreshed(store)))
    if said.message is None:
        return said
    from asyncpipe.cli.run.notify import post

    problem = await post(settings, said.message)
    return replace(said, warnings=(*said.warnings, *([problem] if problem else [])))


async def _refreshed(store: ObjectStore) -> tuple[str, ...]:
    """Let what is read beside the index show the change too, where it is published."""
    warnings: tuple[str, ...] = ()
    if await store.head(store_keys.PAGE_KEY) is not None:
        from asyncpipe.cli.catalog import paging

        warnings += await paging.refresh(store)
    if await store.head(store_keys.STREAMS_KEY) is not None:
        from asyncpipe.cli.catalog import upkeep

        warnings += await upkeep.refresh_streams(store)
    return warnings


# Each name is that of a function in a module of this room, which is imported when it is asked for:
# what lists need not wait for what prunes.
_ACTIONS: Final[Mapping[str, str]] = {
    "show_version": "reading.show",
    "diff": "reading.diff",
    "logs": "reading.logs",
    "sbom": "reading.sbom",
    "promote": "releasing.promote",
    "rollback": "releasing.rollback",
    "revoke": "releasing.revoke",
    "history": "releasing.history",
    "list_versions": "listed.list_versions",
    "show": "fetching.where",
    "pull": "fetching.pull",
    "verify": "fetching.verify",
    "url": "linking.url",
    "set_channel": "channels.set_channel",
    "unset_channel": "channels.unset_channel",
    "list_channels": "channels.list_channels",
    "prune": "upkeep.prune",
    "rebuild_index": "upkeep.rebuild",
    "page": "paging.page",
    "streams": "upkeep.streams",
    "repair_index": "upkeep.repair",
    "expire": "releasing.expire",
}
_CHANGES: Final = frozenset(
    {
        "promote",
        "rollback",
        "revoke",
        "set_channel",
        "unset_channel",
        "expire",
        "prune",
        "rebuild_index",
        "repair_index",
    }
)


def _function(action: str) -> Action:
    module, _, name = _ACTIONS[action].partition(".")
    found: Action = getattr(import_module(f"asyncpipe.cli.catalog.{module}"), name)
    return found
