"""What is written beside the index, for people and for other tools."""

from __future__ import annotations

from asyncpipe.cli.options.command import options, setting

VIEWS = options(
    setting(
        "page",
        "--page",
        is_flag=True,
        help="Write the page of the catalogue again (`asyncpipe page --publish`) once it changed.",
    ),
    setting(
        "simplestreams",
        "--simplestreams",
        is_flag=True,
        help="Keep the simplestreams view, streams/v1/, up to date.",
    ),
)
