"""Which host is trusted: the options of every command that speaks to one."""

from __future__ import annotations

import os
from pathlib import Path

from asyncpipe.cli.options.command import options, setting
from asyncpipe.cli.options.values import PATH, TEXT


def _known_hosts() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home, "asyncpipe", "known_hosts").expanduser()


KNOWN_HOSTS = setting(
    "known_hosts",
    "--known-hosts",
    type=PATH,
    metavar="FILE",
    section="Host",
    default=_known_hosts,
    show_default="~/.config/asyncpipe/known_hosts",
    help="Where `asyncpipe host trust` stores fingerprints.",
)
HOST = options(
    setting(
        "ca_file",
        "--host-ca",
        type=PATH,
        metavar="FILE",
        section="Host",
        show_default="the system's",
        help="Certificates that sign the host's, in PEM format.",
    ),
    setting(
        "fingerprints",
        "--host-fingerprint",
        multiple=True,
        type=TEXT,
        metavar="SHA256",
        section="Host",
        help="The host's certificate, by its fingerprint; repeat it for a pool's other hosts.",
    ),
    KNOWN_HOSTS,
)
