"""The closing table: where things are, how to use them, and why what failed did."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from asyncpipe.errors import EXIT_UNEXPECTED, MEANINGS
from asyncpipe.model.publication import Failed, Outcome, Publication, Published
from asyncpipe.report.console.lines import system_of
from asyncpipe.report.console.styled import Cell, render_table, styled
from asyncpipe.text.format import duration_text, size_text
from asyncpipe.text.safe import clean

_MAX_CAUSE_LINES = 8
_MAX_REMAINS = 20
_COLUMNS = ("template", "result", "system", "size", "SHA-256", "took")


def closing(outcomes: Sequence[Outcome], *, width: int = 100, colour: bool = False) -> str:
    """Return the end of a run for a person, with a trailing newline; "" without outcomes.

    A table first, then for each published template its addresses and how to import it, then for
    each failure its cause, hint, log and what remains. Nothing of an address is cut.
    """
    if not outcomes:
        return ""
    rows = [_cells(outcome) for outcome in outcomes]
    lines = ["", *render_table(_COLUMNS, rows, width=width, colour=colour)]
    for outcome in outcomes:
        is_good = isinstance(outcome, Published)
        lines += ["", styled(clean(outcome.unit), "bold" if is_good else "bold red", colour=colour)]
        lines += [f"  {line}" for line in _details(outcome)]
    return "\n".join(lines) + "\n"


def import_command(publication: Publication) -> str:
    """The command that imports this XVA on an XCP-ng or XenServer host.

    ``xe vm-import url=`` reads http and https only (XAPI's import by URL); an object in S3 needs
    a signed address, so its command begins with ``aws s3 presign``.
    """
    return _import_command(publication.xva.url)


def _import_command(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return f"xe vm-import filename={shlex.quote(unquote(parts.path))}"
    if parts.scheme == "s3":
        return f'xe vm-import url="$(aws s3 presign {shlex.quote(url)})"'
    return f"xe vm-import url={shlex.quote(url)}"


def _cells(outcome: Outcome) -> tuple[Cell, ...]:
    took = Cell(duration_text(outcome.duration_s), "", right=True)
    system = (outcome.identity.short_id if outcome.identity else None) or "?"
    if isinstance(outcome, Published):
        digests = outcome.publication.xva.digests
        return (
            Cell(clean(outcome.unit)),
            Cell("published", "green"),
            Cell(clean(system)),
            Cell(size_text(digests.size_bytes), "", right=True),
            Cell(digests.sha256_hex[:12]),
            took,
        )
    failed = Cell(f"FAILED ({outcome.exit_code})", "bold red")
    result = failed if outcome.started else Cell("not started", "yellow")
    return Cell(clean(outcome.unit)), result, Cell(clean(system)), Cell(""), Cell(""), took


def _details(outcome: Outcome) -> Iterator[str]:
    if isinstance(outcome, Published):
        yield from _published(outcome)
    else:
        yield from _failed(outcome)
    for warning in outcome.warnings:
        yield f"warning:  {clean(warning)}"


def _published(outcome: Published) -> Iterator[str]:
    publication = outcome.publication
    yield f"system:   {clean(system_of(outcome.identity))}"
    yield f"xva:      {publication.xva.url}"
    yield f"metadata: {publication.metadata.url}"
    yield f"log:      {publication.log.url}"
    if publication.provenance:
        yield f"signed:   {publication.provenance.url}"
    yield f"sha256:   {publication.xva.digests.sha256_hex}"
    yield f"use it:   {import_command(publication)}"
    yield "then:     make a template of it; clones let people in by a cloud-init drive only"
    if not publication.pointer_moved:
        yield "note:     latest.json still points to another version"


def _failed(outcome: Failed) -> Iterator[str]:
    place = outcome.error_file
    if place and outcome.error_line:
        place = f"{place}:{outcome.error_line}"
    yield f"error:    {clean(outcome.error)}"
    if outcome.started:
        meaning = MEANINGS.get(outcome.exit_code, MEANINGS[EXIT_UNEXPECTED])
        yield f"code:     {outcome.exit_code} ({meaning})"
    if place:
        yield f"at:       {clean(place)}"
    causes = [line for line in outcome.cause_lines if line not in outcome.error]
    for number, line in enumerate(causes[:_MAX_CAUSE_LINES]):
        yield f"{'' if number else 'cause:':10}{clean(line, limit=1000)}"
    if outcome.hint:
        yield f"hint:     {clean(outcome.hint)}"
    for log in (outcome.log_path, outcome.log_url):
        if log:
            yield f"log:      {clean(log)}"
    for remains in outcome.remains[:_MAX_REMAINS]:
        yield f"remains:  {clean(remains)}"
