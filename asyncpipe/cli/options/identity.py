"""What a build is published as: its system and its variant."""

from __future__ import annotations

from asyncpipe.cli.options.command import options, setting
from asyncpipe.cli.options.values import VARIANT, VERSION

IDENTITY = options(
    setting("os", "--os", metavar="ID", help="The operating system, for example debian."),
    setting("os_version", "--os-version", type=VERSION, metavar="VERSION", help="For example 12."),
    setting(
        "variant",
        "--variant",
        type=VARIANT,
        metavar="NAME",
        show_default="the template's",
        help="Publish as a variant: `web` makes it debian12-web.",
    ),
    setting(
        "strict_identity",
        "--strict-identity",
        is_flag=True,
        help="Fail when guest and template contradict each other about the system.",
    ),
)
