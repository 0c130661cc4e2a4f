"""The installation media that a template names: where they come from, and what they should be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from asyncpipe.model.template import Location, Template, TemplateSource, Value

_DIGEST: Final = re.compile(r"(?:[a-z0-9]+:)?([0-9a-f]{64,128})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """One ISO of a template."""

    template: Template
    url: str
    location: Location
    sum_hex: str = ""  # that the template states itself
    sums_url: str = ""  # the list that it names

    @property
    def name(self) -> str:
        """The file's name."""
        return unquote(self.url.rpartition("/")[2].partition("?")[0])


def media_of(template: Template) -> tuple[Medium, ...]:
    """Every ISO that is fetched over http(s), each once."""
    found: dict[str, Medium] = {}
    for source in template.sources:
        for attributes, prefix in _blocks(source):
            url = _url(attributes)
            if url.startswith(("http://", "https://")):
                medium = _medium(template, source, url, attributes, prefix)
                found.setdefault(url, medium)
    return tuple(found.values())


def _blocks(source: TemplateSource) -> list[tuple[Mapping[str, Value], str]]:
    inner = source.attributes.get("boot_iso")
    blocks = inner if isinstance(inner, list) else [inner]
    nested = [(block, "boot_iso.") for block in blocks if isinstance(block, dict)]
    return [(source.attributes, ""), *nested]


def _url(attributes: Mapping[str, Value]) -> str:
    urls = attributes.get("iso_urls")
    first = urls[0] if isinstance(urls, list) and urls else None
    url = attributes.get("iso_url") or first
    return url if isinstance(url, str) else ""


def _medium(
    template: Template,
    source: TemplateSource,
    url: str,
    attributes: Mapping[str, Value],
    prefix: str,
) -> Medium:
    stated = attributes.get("iso_checksum")
    text = stated if isinstance(stated, str) else ""
    digest = _DIGEST.fullmatch(text)
    sums_url = text.removeprefix("file:") if text.startswith("file:http") else ""
    name = "iso_url" if attributes.get("iso_url") else "iso_urls"
    return Medium(
        template=template,
        url=url,
        location=source.locations.get(f"{prefix}{name}", source.location),
        sum_hex=digest[1].lower() if digest else "",
        sums_url=sums_url,
    )
