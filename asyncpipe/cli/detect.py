"""``asyncpipe detect``: which operating system a template, URL or ISO name means, and why."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command
from asyncpipe.errors import TemplateError
from asyncpipe.model.identity import OsIdentity
from asyncpipe.text.safe import printable

if TYPE_CHECKING:
    from asyncpipe.model.template import Template

_TEMPLATE_SUFFIXES = (".hcl", ".json")


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, in the given order.")
@click.option("--explain", is_flag=True, help="Say which evidence said what.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read more arguments, one per line.")
@shared.SELECTION
@click.argument("subjects", nargs=-1, metavar="PATH|URL|ISO-NAME...")
def detect(
    subjects: tuple[str, ...],
    *,
    as_json: bool,
    explain: bool,
    from_stdin: bool,
    variables: tuple[tuple[str, str], ...],
    **loading: Any,
) -> int:
    """Name operating system and version of templates, URLs and ISO names.

    A template that cannot be read is reported and makes the exit code 3; an unknown system is an
    answer and does not. --only or --except that match no build of any template end with 2.
    """
    if from_stdin:
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
        subjects = (*subjects, *(line.strip() for line in text.split("\n") if line.strip()))
    if not subjects:
        raise click.UsageError("Name a template, a URL or an ISO, or use --stdin.")
    loading["variables"] = dict(variables)
    _refuse_empty_selection(subjects, loading)
    answers = [_answer(subject, loading) for subject in subjects]
    if as_json:
        # one answer a line: json's indentation would cost more than the answers
        click.echo("[\n" + ",\n".join(map(json.dumps, answers)) + "\n]")
    else:
        click.echo("\n".join(line for one in answers for line in _lines(one, explain=explain)))
    return TemplateError.exit_code if any(answer["error"] for answer in answers) else 0


def _answer(subject: str, loading: Mapping[str, Any]) -> dict[str, Any]:
    from asyncpipe.detect import determine_os_info, evidence

    shown = printable(subject)
    if not _is_template(subject):
        identity = determine_os_info(evidence.from_name(subject))
        return {"subject": shown, **identity_to_dict(identity), "sources": [], "error": None}
    from asyncpipe import template

    try:
        loaded = template.load(Path(subject), environment=os.environ, **loading)
    except TemplateError as error:
        unknown = identity_to_dict(OsIdentity())
        return {"subject": shown, **unknown, "sources": [], "error": error.message}
    identity = determine_os_info(evidence.from_template(loaded))
    sources = _sources(loaded) if len(loaded.sources) > 1 else []
    return {"subject": shown, **identity_to_dict(identity), "sources": sources, "error": None}


def _refuse_empty_selection(subjects: tuple[str, ...], loading: Mapping[str, Any]) -> None:
    if not (loading["only"] or loading["except_"]):
        return
    from asyncpipe import template
    from asyncpipe.run import selection

    unselected = {**loading, "only": (), "except_": ()}
    names: dict[str, str] = {}
    for subject in filter(_is_template, subjects):
        with contextlib.suppress(TemplateError):  # its answer says what is wrong with it
            loaded = template.load(Path(subject), environment=os.environ, **unselected)
            names |= {source.full_name: source.full_name for source in loaded.sources}
    selection.chosen(names, loading["only"], loading["except_"])


def _sources(template: Template) -> list[dict[str, Any]]:
    from asyncpipe.detect import determine_os_info, evidence

    return [
        {
            "source": source.full_name,
            **identity_to_dict(determine_os_info(evidence.from_template(template, source))),
        }
        for source in template.sources
    ]


def _is_template(subject: str) -> bool:
    if "://" in subject:
        return False
    if subject.lower().endswith(_TEMPLATE_SUFFIXES):
        return True
    try:
        return Path(subject).is_dir()
    except (OSError, ValueError):
        return False


def identity_to_dict(identity: OsIdentity) -> dict[str, Any]:
    """Return an identity as JSON has it; unknown is null."""
    return {
        "os_type": identity.os_type,
        "os_version": identity.os_version,
        "release": identity.release,
        "codename": identity.codename,
        "arch": identity.arch,
        "confidence": identity.confidence,
        "short_id": identity.short_id,
        "end_of_life": identity.end_of_life,
        "evidence": [
            {
                "kind": one.kind,
                "weight": one.weight.name.lower(),
                "origin": printable(one.origin),
                "text": one.text,
                "os_type": one.os_type,
                "os_version": one.os_version,
                "release": one.release,
                "codename": one.codename,
                "arch": one.arch,
            }
            for one in identity.evidence
        ],
        "conflicts": [
            {
                "field": one.field,
                "chosen": one.chosen,
                "other": one.other,
                "chosen_origin": printable(one.chosen_origin),
                "other_origin": printable(one.other_origin),
                "series": one.series,
            }
            for one in identity.conflicts
        ],
    }


def _lines(answer: Mapping[str, Any], *, explain: bool) -> list[str]:
    if answer["error"]:
        return [f"{answer['subject']}: error: {printable(answer['error'])}"]
    lines = [f"{answer['subject']}: {_summary(answer)}"]
    lines += [f"  {one['source']}: {_summary(one)}" for one in answer["sources"]]
    if explain:
        lines += [f"    {_said(one)}" for one in answer["evidence"]]
    lines += [
        f"  conflict: {one['field']} {one['chosen']} ({one['chosen_origin']}), "
        f"but {one['other']} ({one['other_origin']})"
        for one in answer["conflicts"]
    ]
    return lines


def _summary(answer: Mapping[str, Any]) -> str:
    if answer["os_type"] is None:
        return "unknown, its evidence disagrees" if answer["conflicts"] else "unknown"
    details = [answer[name] for name in ("release", "codename", "arch") if answer[name]]
    more = f" ({', '.join(details)})" if details else ""
    return f"{answer['short_id']}{more}, confidence {answer['confidence']:.2f}"


def _said(one: Mapping[str, Any]) -> str:
    said = " ".join(one[name] for name in ("os_type", "os_version", "arch") if one[name])
    return f"{one['origin']}: {one['kind']} = {one['text']!r} says {said or 'nothing'}"
