"""What is read beside the index, written again at the end of a run that published something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final

import anyio

from asyncpipe import catalog
from asyncpipe.errors import UploadError
from asyncpipe.model.events import Warned
from asyncpipe.model.publication import Outcome, Published
from asyncpipe.model.store_keys import parse_version_key
from asyncpipe.ports import ObjectStore, Reporter
from asyncpipe.settings import Settings

_LIMIT_S: Final = 120.0


async def write_views(
    settings: Settings, store: ObjectStore, outcomes: Iterable[Outcome], reporter: Reporter
) -> None:
    """Write what was asked for; a failure is a warning: the versions are published."""
    published = [one for one in outcomes if isinstance(one, Published)]
    keys = [parse_version_key(one.publication.metadata.key) for one in published]
    places = sorted({key.owner for key in keys if key})
    if places and settings.simplestreams:
        streams = partial(catalog.write_streams, store, places)
        await _tried(streams, reporter, "The simplestreams view", "asyncpipe index streams")
    if places and settings.page:
        from asyncpipe.cli.catalog.paging import publish_page

        page = partial(publish_page, store)
        await _tried(page, reporter, "The page", "asyncpipe page --publish")


async def _tried(
    write: Callable[[], Awaitable[object]], reporter: Reporter, what: str, command: str
) -> None:
    problem = f"The store did not answer for {_LIMIT_S:.0f} s."
    with anyio.move_on_after(_LIMIT_S):
        try:
            await write()
        except UploadError as error:
            problem = error.message
        else:
            return
    message = f"{what} was not written: {problem} {command} writes it."
    reporter.emit(Warned(unit="", code="view", message=message))
