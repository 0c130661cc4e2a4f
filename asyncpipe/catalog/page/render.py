"""An overview as one HTML file that needs nothing else: styles, script and data are in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
import markupsafe
import msgspec

from asyncpipe.catalog.page.columns import columns
from asyncpipe.catalog.page.gather import Overview
from asyncpipe.text.format import size_text
from asyncpipe.text.safe import printable

_NOSCRIPT_ROWS = 200


def render(
    overview: Overview,
    *,
    destination: str,
    base_url: str | None,
    bills: frozenset[str] = frozenset(),
    made_utc: str,
    version: str,
) -> bytes:
    """Return the page, UTF-8, at most about 1.5 MB.

    Args:
        overview: what it shows.
        destination: what a command line takes for ``--destination``.
        base_url: where the objects are, ending in a slash; "" when they are beside the page, None
            where no link leads to them.
        bills: folders of versions beside which there is a bill of materials.
        made_utc: RFC 3339.
        version: of asyncpipe.
    """
    style, script = _asset("page.css"), _asset("page.js")
    data = {
        "destination": printable(destination),
        "base_url": base_url,
        "made_utc": made_utc,
        **columns(overview, bills),
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["size"] = size_text
    text = environment.from_string(_asset("page.html.j2")).render(
        style=_trusted(style),
        script=_trusted(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=_trusted(json_in_html(data)),
        destination=printable(destination),
        made_utc=made_utc,
        version=version,
        rows=[(one, one.current or one.versions[0]) for one in overview.templates[:_NOSCRIPT_ROWS]],
        overview=overview,
    )
    return text.encode("utf-8")


def json_in_html(value: Mapping[str, Any]) -> str:
    """Encode JSON that may stand in a script element: nothing in it ends the element."""
    text = msgspec.json.encode(value).decode("utf-8")
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _trusted(text: str) -> markupsafe.Markup:
    """Our own assets, and JSON in which nothing is markup."""
    return markupsafe.Markup(text)  # noqa: S704


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text("utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names it: CSP level 3, hash-source."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
