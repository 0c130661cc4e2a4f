"""The step summary: Markdown for a person who opens the run, cut to what GitHub takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from asyncpipe.model.check import CheckResult
from asyncpipe.model.publication import Failed, Outcome, Published, Tally
from asyncpipe.report.changes import Changes, changes
from asyncpipe.report.console.table import import_command
from asyncpipe.report.run_info import RunInfo
from asyncpipe.report.timeline import gantt
from asyncpipe.text.format import duration_text, size_text
from asyncpipe.text.safe import clean, place_text

# actions/runner FileCommandManager.cs: one byte more and the whole summary is left out.
SUMMARY_LIMIT_BYTES = 1024 * 1024
_MARGIN_BYTES = 4096  # masks may lengthen it on the way: *** for a secret, CRLF for LF
_MAX_TAIL_LINES = 60
_MAX_TAIL_CHARACTERS = 12_000
_MAX_NAMED_PACKAGES = 40
_SHOWN_DIGITS = 12
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:@&])")


def summary(
    outcomes: Sequence[Outcome],
    run: RunInfo,
    *,
    limit_bytes: int = SUMMARY_LIMIT_BYTES,
) -> str:
    """Return the summary, at most ``limit_bytes`` in UTF-8.

    A table of all templates, the phases as a Mermaid gantt, what failed and why with the tail of
    its log, what was published with the difference to the version before. When there is too much,
    tails of logs go first, then differences, then causes, then rows, each time with a note.
    """
    room_bytes = max(0, limit_bytes - min(_MARGIN_BYTES, limit_bytes // 10))
    head = _head(outcomes, run)
    failures = [one for one in outcomes if isinstance(one, Failed) and one.started]
    published = [outcome for outcome in outcomes if isinstance(outcome, Published)]
    sections = [  # the most needed first
        _table(outcomes, room_bytes - _size(head) - 2048),
        *(_failure(failure) for failure in failures),
        *(_publication(outcome) for outcome in published),
        gantt(outcomes),
        *(_tail(failure) for failure in failures),
    ]
    return _fitted(head, sections, room_bytes)


def failure_summary(command: str, message: str, hint: str, exit_code: int) -> str:
    """What a command shows that failed before it had a run: the words that stderr has."""
    lines = [f"## asyncpipe {escaped(command)}: exit code {exit_code}", ""]
    lines += [f"**{escaped(line)}**  " for line in message.splitlines()[:_MAX_TAIL_LINES]]
    lines += ["", f"- hint: {escaped(hint)}"] if hint else []
    return "\n".join(lines) + "\n"


def checks_summary(results: Sequence[CheckResult], exit_code: int) -> str:
    """A table of checks, failures first, cut to what GitHub takes."""
    lines = [
        f"## asyncpipe check: exit code {exit_code}",
        "",
        "| | What | Found |",
        "|---|---|---|",
    ]
    used_bytes, order = 0, ("fail", "warn", "ok")
    for result in sorted(results, key=lambda one: order.index(one.status.value)):
        what = escaped(f"{result.unit} {result.name}".strip())
        row = f"| {result.status.value} | {what} | {escaped(result.message)} |"
        used_bytes += _size(row) + 1
        if used_bytes > SUMMARY_LIMIT_BYTES - 2 * _MARGIN_BYTES:
            lines += ["", "_More did not fit; the log has all._"]
            break
        lines.append(row)
    return "\n".join(lines) + "\n"


def escaped(text: str, *, limit: int = 500) -> str:
    """A guest's words as Markdown that shows them: no markup, link, mention, HTML or line break."""
    return _MARKUP.sub(lambda hit: f"&#{ord(hit[1])};", clean(text, limit=limit))


def _fitted(head: str, sections: Sequence[str], room_bytes: int) -> str:
    kept, used_bytes, left_out = [head], _size(head), 0
    for section in filter(None, sections):
        size_bytes = _size(section) + 1
        if used_bytes + size_bytes + 200 > room_bytes:
            left_out += 1
            continue
        kept.append(section)
        used_bytes += size_bytes
    if left_out:
        kept.append(f"_{left_out} more sections did not fit; the report and the logs have all._\n")
    return "\n".join(kept)


def _head(outcomes: Sequence[Outcome], run: RunInfo) -> str:
    took, place = duration_text(run.duration_s), _code(place_text(run.destination))
    lines = [
        f"## Templates: {Tally.of(outcomes)}",
        "",
        f"Run {escaped(run.run_id)} to {place}: exit code {run.exit_code}, {took}",
        "",
    ]
    lines += ["**Cancelled.**", ""] if run.cancelled else []
    lines += [f"- published by an earlier attempt: {_code(url)}" for url in run.earlier_urls[:300]]
    lines += [f"- remains: {escaped(what)}" for what in run.remains[:20]]
    return "\n".join(lines) + "\n"


def _table(outcomes: Sequence[Outcome], room_bytes: int) -> str:
    lines = [
        "| Template | Result | System | Size | SHA-256 | Took | Where |",
        "|---|---|---|--:|---|--:|---|",
    ]
    used_bytes = sum(map(_size, lines))
    for number, outcome in enumerate(sorted(outcomes, key=_failures_first)):
        row = _row(outcome)
        used_bytes += _size(row) + 1
        if used_bytes > room_bytes:
            lines += ["", f"_{len(outcomes) - number} more templates did not fit._"]
            break
        lines.append(row)
    return "\n".join(lines) + "\n"


def _failures_first(outcome: Outcome) -> tuple[bool, str]:
    return isinstance(outcome, Published), outcome.unit


def _row(outcome: Outcome) -> str:
    system = escaped((outcome.identity.short_id if outcome.identity else None) or "?", limit=60)
    took = duration_text(outcome.duration_s)
    if isinstance(outcome, Published):
        xva = outcome.publication.xva
        digest = f"<code>{xva.digests.sha256_hex[:_SHOWN_DIGITS]}</code>"  # whole it is too wide
        size = size_text(xva.digests.size_bytes)
        cells = (escaped(outcome.unit), "published", system, size, digest, took, _code(xva.url))
    else:
        where = _code(outcome.log_url or outcome.log_path)
        result = f"**failed ({outcome.exit_code})**" if outcome.started else "not started"
        cells = (escaped(outcome.unit), result, system, "", "", took, where)
    return f"| {' | '.join(cells)} |"


def _failure(failure: Failed) -> str:
    lines = [f"### {escaped(failure.unit)} failed", "", f"**{escaped(failure.error)}**", ""]
    if failure.error_file:
        place = failure.error_file + (f":{failure.error_line}" if failure.error_line else "")
        lines.append(f"- at {_code(place)}")
    lines += [f"- cause: {escaped(line)}" for line in failure.cause_lines[:8]]
    lines += [f"- hint: {escaped(failure.hint)}"] if failure.hint else []
    lines += [f"- remains: {escaped(what)}" for what in failure.remains[:20]]
    lines += [f"- warning: {escaped(text)}" for text in failure.warnings[:10]]
    return "\n".join(lines) + "\n"


def _publication(outcome: Published) -> str:
    lines = [f"### {escaped(outcome.unit)} published", ""]
    lines.append(f"- import: {_code(import_command(outcome.publication))}")
    lines.append(f"- SHA-256: <code>{outcome.publication.xva.digests.sha256_hex}</code>")
    difference = changes(outcome.metadata, outcome.publication.previous_metadata)
    lines += _difference(difference) if difference else ["- the first version here"]
    lines += [f"- warning: {escaped(text)}" for text in outcome.warnings[:10]]
    return "\n".join(lines) + "\n"


def _difference(difference: Changes) -> list[str]:
    lines = []
    if difference.size_change_bytes is not None:
        change = difference.size_change_bytes
        sign = "+" if change >= 0 else "-"
        lines.append(f"- size: {sign}{size_text(abs(change))} against the version before")
    if not difference.packages_known:
        return lines
    for word, names in (
        ("added", difference.added),
        ("removed", difference.removed),
        ("changed", difference.changed),
    ):
        more = len(names) - _MAX_NAMED_PACKAGES
        named = ", ".join(escaped(name, limit=120) for name in names[:_MAX_NAMED_PACKAGES])
        rest = f" and {more} more" if more > 0 else ""
        lines.append(f"- packages {word}: {len(names)}{': ' if named else ''}{named}{rest}")
    return lines


def _tail(failure: Failed) -> str:
    lines = [clean(line, limit=500) for line in failure.log_tail[-_MAX_TAIL_LINES:]]
    while lines and sum(map(len, lines)) > _MAX_TAIL_CHARACTERS:
        del lines[0]
    if not lines:
        return ""
    text = "\n".join(line.translate(_HTML) for line in lines)
    title = f"End of the log of {escaped(failure.unit)}"
    return f"<details><summary>{title}</summary>\n\n<pre>\n{text}\n</pre>\n\n</details>\n"


# In <pre> Markdown is still read after a blank line: nothing that could mean anything is left.
_HTML = {ord(character): f"&#{ord(character)};" for character in "<>&`*_[]|\\@:#!$~"}


def _code(text: str) -> str:
    return f"<code>{escaped(text, limit=2000)}</code>" if text else ""


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
