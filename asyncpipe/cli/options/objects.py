"""How S3 keeps the objects of a version."""

from __future__ import annotations

import click

from asyncpipe.cli.options.command import options, setting
from asyncpipe.cli.options.values import MOMENT, VARIABLE, OneOf
from asyncpipe.model.store import LockMode, ServerSideEncryption

OBJECTS = options(
    setting(
        "sse",
        "--sse",
        type=OneOf(ServerSideEncryption),
        section="S3",
        help="Have the store encrypt the objects.",
    ),
    setting("kms_key_id", "--kms-key-id", metavar="ID", section="S3", help="The key for aws:kms."),
    setting(
        "storage_class",
        "--storage-class",
        metavar="NAME",
        section="S3",
        help="Storage class of the objects, for example STANDARD_IA.",
    ),
    setting(
        "tags",
        "--s3-tag",
        variable="S3_TAGS",
        multiple=True,
        type=VARIABLE,
        metavar="NAME=VALUE",
        section="S3",
        help="Tag the objects.",
    ),
    setting(
        "lock_mode",
        "--object-lock",
        type=OneOf(LockMode),
        section="S3",
        help="Lock the objects until --object-lock-until.",
    ),
    setting(
        "lock_until_utc",
        "--object-lock-until",
        type=MOMENT,
        metavar="UTC",
        section="S3",
        help="For example 2027-12-31T00:00:00Z.",
    ),
    setting(
        "max_parts",
        "--s3-max-parts",
        type=click.IntRange(min=1),
        section="S3",
        help="For a store that takes fewer than 10,000 parts.",
    ),
)
