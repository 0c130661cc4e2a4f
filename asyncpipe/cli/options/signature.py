"""Who signs what is published, and whose signatures count."""

from __future__ import annotations

import click

from asyncpipe.cli.options.command import PREFIX, Option, options, setting
from asyncpipe.cli.options.values import PATH

SIGNING = options(
    setting(
        "signing_key",
        "--signing-key",
        variable="SIGNING_KEY_FILE",
        type=PATH,
        metavar="FILE",
        section="Signature",
        help="Sign with this key. ASYNCPIPE_SIGNING_KEY can hold the key itself.",
    ),
    setting(
        "keyless",
        "--keyless",
        is_flag=True,
        section="Signature",
        help="Sign as this CI run's identity, through sigstore.",
    ),
)
TRUST = options(
    click.option(
        "keys",
        "--key",
        cls=Option,
        multiple=True,
        type=PATH,
        envvar=f"{PREFIX}TRUSTED_KEY_FILE",
        show_envvar=True,
        metavar="FILE",
        section="Signature",
        help="A public key whose signatures count; repeat it for several.",
    ),
    click.option(
        "identity",
        "--identity",
        cls=Option,
        envvar=f"{PREFIX}TRUSTED_IDENTITY",
        show_envvar=True,
        metavar="ID",
        section="Signature",
        help="The identity that must have signed through sigstore: a workflow's URL, an address.",
    ),
    click.option(
        "issuer",
        "--issuer",
        cls=Option,
        envvar=f"{PREFIX}TRUSTED_ISSUER",
        show_envvar=True,
        default="https://token.actions.githubusercontent.com",
        show_default="GitHub's",
        metavar="URL",
        section="Signature",
        help="Who vouches for --identity.",
    ),
)
REQUIRE_SIGNATURE = options(
    click.option(
        "--require-signature",
        cls=Option,
        is_flag=True,
        envvar=f"{PREFIX}REQUIRE_SIGNATURE",
        show_envvar=True,
        section="Signature",
        help="Refuse a version that --key or --identity has not signed; either of them does too.",
    ),
    TRUST,
)
PARENT = setting(
    "parent",
    "--parent",
    metavar="NAME",
    help="The published version that the templates are built from, if they do not name it.",
)
