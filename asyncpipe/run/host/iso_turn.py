"""One build at a time per ISO name: the plugin shares images by name and removes them at its end.

Builds on this machine wait for one another by a lock that dies with its holder; builds elsewhere
are known by the mark on the image at the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from asyncpipe.errors import HostError
from asyncpipe.system import lock

TURN_S: Final = 3600.0  # a build that shares the image may take that long
_POLL_S: Final = 1.0

Others = Callable[[], Awaitable[str]]  # the run that has the image at the host, "" when none has


@asynccontextmanager
async def turn(
    folder: Path,
    image: str,
    others: Others,
    waits: Callable[[str, float], None],
    *,
    limit_s: float = TURN_S,
) -> AsyncIterator[None]:
    """Wait until no other build uses the image of this name, and keep others from it.

    Args:
        folder: where the locks are, shared by the runs of this machine.
        image: host and name of the image, together unique; "" waits for nothing.
        others: asks the host.
        waits: called with what is waited for, and how long at most.
        limit_s: how long to wait.

    Raises:
        HostError: it was not free within ``limit_s``.
    """
    if not image:
        yield
        return
    with ExitStack() as stack:
        await _until(lambda: _locked(stack, folder, image), image, waits, limit_s)
        await _until(lambda: _alive(others, folder.parent / "runs"), image, waits, limit_s)
        yield


async def _until(
    holder: Others, image: str, waits: Callable[[str, float], None], limit_s: float
) -> None:
    end_s, announced = anyio.current_time() + limit_s, False
    while who := await holder():
        left_s = end_s - anyio.current_time()
        name = image.rpartition("/")[2]
        if left_s <= 0:
            raise HostError(
                f"The ISO {name!r} at the host is used by {who}.",
                hint="If that run is dead: asyncpipe reap --run RUN. Builds that share an ISO do "
                "not wait when it is kept on the pool and named by iso_name.",
            )
        if not announced:
            waits(f"{who}, which uses the ISO {name}", left_s)
            announced = True
        await anyio.sleep(_POLL_S)


async def _alive(others: Others, runs: Path) -> str:
    """Name the run that has the image; one of this machine that has ended never lets go of it."""
    run_id = await others()
    if run_id and await anyio.Path(runs / run_id).is_dir() and not lock.is_held(runs / run_id):
        raise HostError(
            f"The image of the ISO at the host was left by run {run_id}, which has ended; it may "
            "not be whole.",
            hint=f"asyncpipe reap --run {run_id} removes it.",
        )
    return f"run {run_id}" if run_id else ""


async def _locked(stack: ExitStack, folder: Path, image: str) -> str:
    name = f"iso-{hashlib.sha256(image.encode()).hexdigest()[:16]}.lock"
    try:
        await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock.held(folder, name))
    except lock.HeldError as error:
        return f"process {error.pid}" if error.pid else "another build"
    except OSError:
        return ""  # no locks here: the host's answer has to do
    return ""
