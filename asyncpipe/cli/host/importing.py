"""What ``asyncpipe import`` does: find the XVA, send it to each host, say what became of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import click

from asyncpipe import catalog
from asyncpipe.cli.run.signals import cancelled_by_signals
from asyncpipe.cli.signing.keys import checked, trust_of
from asyncpipe.cli.xva.show import name_of
from asyncpipe.cli.xva.source import open_source
from asyncpipe.errors import (
    EXIT_CANCELLED,
    EXIT_SOME_FAILED,
    EXIT_UNEXPECTED,
    AsyncpipeError,
    UsageError,
    leaf_of,
)
from asyncpipe.host.access import access_of_environment
from asyncpipe.host.importing import Imported, ImportOptions, import_xva
from asyncpipe.host.stream import ImportSource
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.host import HostAccess
from asyncpipe.model.xva import Compression
from asyncpipe.ports import ObjectStore, Piece
from asyncpipe.settings import Settings
from asyncpipe.stores.open import open_store
from asyncpipe.text.format import duration_text, rate_text, size_text
from asyncpipe.text.safe import clean, without_userinfo

if TYPE_CHECKING:
    from asyncpipe.provenance.verify import Trust


_OPTIONS: Final = ("storage", "network", "as_template", "replace_latest")
_REDRAW_S: Final = 0.5
_STEPS: Final = 10  # lines of a progress that no terminal shows

Outcome = Imported | AsyncpipeError


def run(given: dict[str, Any], *, environment: Mapping[str, str]) -> int:
    """Import to every host; returns the exit code."""
    what, as_json = given.pop("what"), given.pop("as_json")
    allowed = {name: given.pop(name) for name in ("revoked", "expired")}
    hosts, username = given.pop("hosts"), given.pop("username")
    trust = trust_of(given)
    options = ImportOptions(**{name: given.pop(name) for name in _OPTIONS})
    settings = Settings.of(given, environment=environment)
    accesses = [
        access_of_environment(environment, settings.host_trust, address=address, username=username)
        for address in dict.fromkeys(hosts)
    ]
    running = partial(_run, what, accesses, options, settings, allowed, trust=trust)
    outcomes = anyio.run(running)
    if outcomes is None:
        return EXIT_CANCELLED
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "imports": _document(outcomes)}, indent=2))
    else:
        for address, outcome in outcomes.items():
            _say(address, outcome)
    return _exit_code(list(outcomes.values()))


async def _run(
    what: str,
    accesses: Sequence[HostAccess],
    options: ImportOptions,
    settings: Settings,
    allowed: Mapping[str, bool],
    *,
    trust: Trust | None,
) -> dict[str, Outcome] | None:
    """Every host's outcome; None when cancelled."""
    found: dict[str, Outcome] = {}
    done = False
    opening = import_source(what, settings, allowed, trust=trust)
    async with cancelled_by_signals(), opening as source:
        board = Board([access.address for access in accesses], source.size_bytes)
        try:
            async with anyio.create_task_group() as tasks:
                for access in accesses:
                    one = partial(_one, found, access, source, options, board)
                    tasks.start_soon(one)
        finally:
            board.end()
        done = True
    return {access.address: found[access.address] for access in accesses} if done else None


async def _one(
    found: dict[str, Outcome],
    access: HostAccess,
    source: ImportSource,
    options: ImportOptions,
    board: Board,
) -> None:
    """One host's failure is its own."""
    try:
        found[access.address] = await import_xva(access, source, options, board.row(access.address))
    except Exception as error:
        leaf = leaf_of(error)
        if not isinstance(leaf, AsyncpipeError):
            raise
        found[access.address] = leaf


# -- what is imported ---------------------------------------------------------------------------


@asynccontextmanager
async def import_source(
    what: str, settings: Settings, allowed: Mapping[str, bool], *, trust: Trust | None
) -> AsyncGenerator[ImportSource]:
    """Find a published version, a file or a URL, and say how it is opened.

    Raises:
        UsageError: it cannot be imported so.
        UploadError: the store has no such version, or cannot be read.
    """
    if "://" in what or what.endswith(".xva") or "/" in what or await anyio.Path(what).exists():
        yield await _named_by_path(what, trust)
        return
    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        entry = await catalog.resolve(store, what, **allowed, warn=_warn)
        if trust is not None:  # what the pointer says of the signature is checked too
            entry = (await checked(store, entry, trust)).entry
        else:
            version = f"{entry.short_id}@{entry.timestamp}"
            entry = await catalog.resolve(store, version, revoked=True)
        stored = _published(store, entry)
        yield _compressed(stored, store, entry) if entry.xva.compression else stored


async def _named_by_path(what: str, trust: Trust | None) -> ImportSource:
    """A file or a URL of known size, which XAPI asks for first."""
    if trust is not None:
        raise UsageError(
            "A file or URL has no signature; published versions have.",
            hint="Name the version: asyncpipe import NAME --require-signature.",
        )
    async with open_source(what) as found:
        size_bytes, name = found.size_bytes, found.name
    if size_bytes is None:
        raise UsageError(
            f"The size of {name} is not known before its end; XAPI must have it.",
            hint="Import from a file, or from a server that sends Content-Length.",
        )
    return ImportSource(
        name=name,
        size_bytes=size_bytes,
        open=partial(_opened, what),
        origin=without_userinfo(name_of(what)) if "://" in what else "",
    )


def _published(store: ObjectStore, entry: CatalogEntry) -> ImportSource:
    """A version as the store has it."""
    version = f"{entry.short_id}@{entry.timestamp}"

    @asynccontextmanager
    async def opened() -> AsyncGenerator[AsyncIterator[Piece]]:
        async with catalog.stream_xva(store, entry) as pieces:
            yield pieces

    return ImportSource(
        name=version,
        size_bytes=entry.xva.size_bytes,
        open=opened,
        sha256_hex=entry.xva.sha256_hex or None,
        version=version,
        origin=without_userinfo(store.url_of(entry.xva.key)),
    )


def _compressed(stored: ImportSource, store: ObjectStore, entry: CatalogEntry) -> ImportSource:
    """Say how it is compressed, and how a host gets it that does not import that."""
    from asyncpipe.catalog.fetch.plain import stream_plain

    xva = entry.xva
    plain = replace(
        stored,
        size_bytes=xva.content_size_bytes,
        open=partial(stream_plain, store, entry),
        sha256_hex=xva.content_sha256_hex or None,
    )
    known = {str(one): one for one in Compression}
    return replace(stored, compression=known.get(xva.compression or ""), plain=plain)


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[AsyncIterator[memoryview]]:
    async with open_source(url) as source, aclosing(source.pieces) as pieces:
        yield pieces


def _warn(text: str) -> None:
    click.echo(f"asyncpipe: {clean(text)}", err=True)


# -- what is said -------------------------------------------------------------------------------


class Board:
    """Progress on stderr: one live line on a terminal, else a line for every tenth."""

    def __init__(self, names: Sequence[str], size_bytes: int) -> None:
        self._size_bytes = max(1, size_bytes)
        self._sent_bytes = dict.fromkeys(names, 0)
        self._began_s = time.monotonic()
        self._drawn_s = 0.0
        self._live = sys.stderr.isatty()
        self._steps = dict.fromkeys(names, 0)

    def row(self, name: str) -> Row:
        """The progress of one host."""
        return Row(self, name)

    def sent(self, name: str, sent_bytes: int) -> None:
        """Take a host's count."""
        self._sent_bytes[name] = sent_bytes
        now_s = time.monotonic()
        if self._live and now_s - self._drawn_s >= _REDRAW_S:
            self._drawn_s = now_s
            text = "   ".join(map(self._text, self._sent_bytes))
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        step = sent_bytes * _STEPS // self._size_bytes
        if not self._live and step > self._steps[name]:
            self._steps[name] = step
            click.echo(self._text(name), err=True)

    def end(self) -> None:
        """Leave the terminal clean."""
        if self._live and self._drawn_s:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _text(self, name: str) -> str:
        sent_bytes = self._sent_bytes[name]
        took_s = max(0.001, time.monotonic() - self._began_s)
        return (
            f"{clean(name)}: {100 * sent_bytes // self._size_bytes} % of "
            f"{size_text(self._size_bytes)}, {rate_text(sent_bytes / took_s)}"
        )


class Row:
    """One host's line."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        self._name = name

    def sent(self, sent_bytes: int) -> None:
        """So many bytes have left."""
        self._board.sent(self._name, sent_bytes)

    def warn(self, text: str) -> None:
        """Said at once: there may be no later."""
        click.echo(f"asyncpipe: {clean(self._name)}: {clean(text)}", err=True)


def _say(address: str, outcome: Outcome) -> None:
    if isinstance(outcome, AsyncpipeError):
        click.echo(f"asyncpipe: {clean(address)}: {clean(outcome.message)}", err=True)
        if outcome.hint:
            click.echo(f"  {clean(outcome.hint)}", err=True)
        return
    how = "was there" if outcome.was_there else f"imported in {duration_text(outcome.duration_s)}"
    click.echo(f"{clean(address)}: {outcome.vm_name} {how}  {outcome.vm_uuid}")
    click.echo("  clones let people in by a cloud-init drive only")
    for name in outcome.renamed:
        click.echo(f"{clean(address)}: the older one is now {name}")


def _document(outcomes: Mapping[str, Outcome]) -> list[dict[str, object]]:
    return [
        {"host": address, "error": outcome.message, "exit_code": outcome.exit_code}
        if isinstance(outcome, AsyncpipeError)
        else {**asdict(outcome), "host": address, "exit_code": 0}
        for address, outcome in outcomes.items()
    ]


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    failed = [one for one in outcomes if isinstance(one, AsyncpipeError)]
    if not failed:
        return 0
    return failed[0].exit_code or EXIT_UNEXPECTED if len(outcomes) == 1 else EXIT_SOME_FAILED
