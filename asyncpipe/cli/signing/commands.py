"""``asyncpipe key new`` and ``key show``: the pair that signs and checks."""

from __future__ import annotations

import os
from pathlib import Path

import click

from asyncpipe.cli.options import shared
from asyncpipe.cli.options.values import PATH


@click.group()
def key() -> None:
    """Make the keys that sign what is published."""


@key.command()
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=Path("asyncpipe.key"),
    show_default=True,
    metavar="FILE",
    help="Where to; FILE.pub gets the public key.",
)
def new(output: Path) -> int:
    """Make an Ed25519 pair: FILE signs and stays secret, FILE.pub checks and may be shown.

    ASYNCPIPE_SIGNING_KEY_PASSWORD encrypts FILE. Nothing is overwritten.
    """
    from asyncpipe.cli.signing.keys import PASSWORD_VARIABLE
    from asyncpipe.errors import UsageError
    from asyncpipe.provenance.keys import SigningKey

    password = os.environ.get(PASSWORD_VARIABLE, "")
    public = output.with_name(f"{output.name}.pub")
    for path in (output, public):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists and is not overwritten.", hint="Name another FILE.")
    made = SigningKey.new()
    for path, body, mode in ((output, made.pem(password), 0o600), (public, made.public.pem, 0o644)):
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(path, flags, mode), "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(body)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    click.echo(f"{output}: signs; {'encrypted' if password else 'NOT encrypted'}, for you alone")
    click.echo(f"{public}: checks signatures")
    click.echo(f"key {made.public.id_hex}")
    return 0


@key.command()
@click.argument("file", type=PATH)
@shared.AS_JSON
def show(file: Path, *, as_json: bool) -> int:
    """Print the public key of FILE, a private or a public key, and its id."""
    import json

    from asyncpipe.cli.signing.keys import PASSWORD_VARIABLE, read_key_file
    from asyncpipe.provenance.keys import read_public_key, read_signing_key

    pem = read_key_file(file)
    if b"PRIVATE KEY" in pem:
        password = os.environ.get(PASSWORD_VARIABLE, "")
        found = read_signing_key(pem, origin=str(file), password=password).public
    else:
        found = read_public_key(pem, origin=str(file))
    if as_json:
        document = {"schema_version": 1, "key": found.id_hex, "public": found.pem.decode()}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"key {found.id_hex}\n{found.pem.decode().rstrip()}")
    return 0
