"""What counts as a reason to build again, and where the indexes come from: options, and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options.command import PREFIX, Option, options, setting
from asyncpipe.cli.options.values import DURATION, PATH, VARIABLE
from asyncpipe.errors import UsageError

INDEXES = options(
    setting(
        "mirrors",
        "--mirror",
        variable="MIRRORS",
        multiple=True,
        type=VARIABLE,
        metavar="ARCHIVE=URL",
        section="Indexes",
        help="Where to read an archive: debian, debian-security, ubuntu, almalinux, rocky, "
        "centos-stream.",
    ),
    setting(
        "keyrings",
        "--keyring",
        variable="KEYRINGS",
        multiple=True,
        type=PATH,
        metavar="FILE",
        section="Indexes",
        help="Keys that may sign the indexes, in place of the distributions' that are installed.",
    ),
)


OLDER_THAN = click.option(
    "--older-than",
    "older_than_s",
    cls=Option,
    envvar=f"{PREFIX}OLDER_THAN",
    show_envvar=True,
    type=DURATION,
    metavar="TIME",
    help="What is older has a reason too, for example 30d.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for."""

    security_only: bool = False
    older_than_s: float | None = None
    mirrors: Mapping[str, str] = field(default_factory=dict)
    keyrings: tuple[Path, ...] = ()


def asked_of(given: dict[str, Any]) -> Asked:
    """Take the options above, and --security, out of ``given``; raises UsageError."""
    from asyncpipe.updates.distributions import ARCHIVES

    mirrors = dict(given.pop("mirrors") or ())
    for name, url in mirrors.items():
        if name not in ARCHIVES:
            raise UsageError(
                f"--mirror {name}: no archive of that name.", hint=f"Known: {', '.join(ARCHIVES)}."
            )
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--mirror {name}: the address has to begin with https:// or http://.")
    keyrings: Sequence[Path] = given.pop("keyrings") or ()
    for path in keyrings:
        if not path.is_file():
            raise UsageError(f"{path}: no such keyring.")
    return Asked(
        security_only=bool(given.pop("security", False)),
        older_than_s=given.pop("older_than_s", None),
        mirrors=mirrors,
        keyrings=tuple(keyrings),
    )
