"""Types of options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from asyncpipe.errors import UsageError


class Parsed(click.ParamType[Any]):
    """An option read by a function of ``settings``."""

    def __init__(self, name: str, function_name: str) -> None:
        self.name = name
        self._function_name = function_name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text, or fail with its words."""
        if not isinstance(value, str):
            return value
        from asyncpipe import settings  # noqa: PLC0415 - keeps --help quick

        parse: Callable[[str], Any] = getattr(settings, self._function_name)
        try:
            return parse(value)
        except UsageError as error:
            self.fail(f"{error.message} {error.hint}".strip(), param, ctx)


SIZE = Parsed("size", "parse_size")
DURATION = Parsed("duration", "parse_duration")
VARIABLES = Parsed("variable", "parse_variable")


def all_of(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """One decorator of many, in the order in which --help shows them."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


publishing_options = all_of(
    (
        click.option(
            "--destination", metavar="URL", help="s3://bucket/prefix or a folder [published]."
        ),
        click.option("--os", "os", metavar="ID", help="The operating system, e.g. debian."),
        click.option("--os-version", metavar="VERSION", help="Its version, e.g. 12."),
        click.option(
            "--strict-identity",
            is_flag=True,
            default=None,
            help="Fail when guest and template contradict each other about the system.",
        ),
        click.option(
            "--max-memory",
            "max_memory_bytes",
            type=SIZE,
            metavar="SIZE",
            help="For the parts in flight of all uploads [128MiB].",
        ),
        click.option(
            "--part-size",
            "part_size_bytes",
            type=SIZE,
            metavar="SIZE",
            help="Of each part [by the XVA's size].",
        ),
        click.option(
            "--concurrency", type=click.IntRange(min=1), help="Parts of one upload in flight."
        ),
        click.option(
            "--bandwidth",
            "bandwidth_bytes_per_s",
            type=SIZE,
            metavar="SIZE",
            help="Bytes per second of all uploads.",
        ),
        click.option(
            "--s3-profile", metavar="NAME", help="aws, minio, ceph, garage, generic [auto]."
        ),
        click.option(
            "--ca-bundle",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Certificates to trust, for an https endpoint [$AWS_CA_BUNDLE].",
        ),
        click.option("--sse", metavar="KIND", help="AES256 or aws:kms."),
        click.option("--kms-key-id", metavar="ID", help="The key for aws:kms."),
        click.option("--storage-class", metavar="NAME", help="Of the objects, e.g. STANDARD_IA."),
        click.option(
            "--s3-tag",
            "s3_tags",
            multiple=True,
            type=VARIABLES,
            metavar="NAME=VALUE",
            help="Tag the objects.",
        ),
        click.option(
            "--object-lock",
            type=click.Choice(["governance", "compliance"]),
            help="Lock the objects (with --object-lock-until).",
        ),
        click.option(
            "--object-lock-until", metavar="UTC", help="Until when, e.g. 2027-12-31T00:00:00Z."
        ),
        click.option(
            "--s3-max-parts",
            type=click.IntRange(min=1),
            help="For a store that takes fewer than 10,000 parts.",
        ),
        click.option(
            "--work-directory",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Where runs live [.asyncpipe]; needs room for the XVAs.",
        ),
        click.option(
            "--report",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write what happened as JSON.",
        ),
        click.option(
            "--webhook-url",
            metavar="URL",
            help="Tell a chat at the end (a secret: better ASYNCPIPE_WEBHOOK_URL).",
        ),
        click.option(
            "--log-format", type=click.Choice(["text", "json"]), help="json: an object per event."
        ),
        click.option("-v", "--verbose", count=True, help="Say more."),
        click.option("-q", "--quiet", count=True, help="Say less."),
    )
)
