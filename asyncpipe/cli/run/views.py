"""What people read beside the index, written again at the end of a run that published something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import anyio

from asyncpipe.errors import UploadError
from asyncpipe.model.events import Warned
from asyncpipe.model.publication import Outcome, Published
from asyncpipe.ports import ObjectStore, Reporter
from asyncpipe.settings import Settings

_LIMIT_S: Final = 120.0


async def write_views(
    settings: Settings, store: ObjectStore, outcomes: Iterable[Outcome], reporter: Reporter
) -> None:
    """Write the page if it was asked for; a failure is a warning: the versions are published."""
    if not settings.page or not any(isinstance(one, Published) for one in outcomes):
        return
    from asyncpipe.cli.catalog.paging import publish_page

    problem = f"The store did not answer for {_LIMIT_S:.0f} s."
    with anyio.move_on_after(_LIMIT_S):
        try:
            await publish_page(store)
        except UploadError as error:
            problem = error.message
        else:
            return
    message = f"The page was not written: {problem} asyncpipe page --publish writes it."
    reporter.emit(Warned(unit="", code="page", message=message))
