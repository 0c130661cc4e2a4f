"""The installation medium: what Packer retrieved, else what the template names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from asyncpipe.model.build import HostObjects
from asyncpipe.model.template import Template, Value

Document = dict[str, object]


def iso_of(template: Template, host: HostObjects | None) -> Document | None:
    """Say what was installed from; no path of this machine, no userinfo."""
    named = _of_template(template)
    used = host.iso if host else None
    if named is None and used is None:
        return None
    named = named or {"url": None, "name": None, "checksum": None}
    url = used.url if used else named["url"]
    uploaded = bool(host and any(image.name == host.iso_vdi_name for image in host.uploads))
    return {
        "url": _public(url),
        "name": named["name"] or _file_name(url),
        "checksum": named["checksum"],
        "sha256_hex": (used.sha256_hex or None) if used else None,
        "size_bytes": used.size_bytes if used else None,
        "confirmed": uploaded if host and host.creating else None,
    }


def _of_template(template: Template) -> dict[str, str | None] | None:
    """The medium of the first source that names one."""
    for source in template.sources:
        attributes = {**_nested(source.attributes.get("boot_iso")), **source.attributes}
        url, name, checksum = (
            _text(attributes.get(key)) for key in ("iso_url", "iso_name", "iso_checksum")
        )
        urls = attributes.get("iso_urls")
        if url is None and isinstance(urls, list) and urls:
            url = _text(urls[0])
        if url or name:
            return {"url": url, "name": name, "checksum": checksum}
    return None


def _public(url: str | None) -> str | None:
    """The URL; of a file on this machine only its name."""
    if not url:
        return None
    local = url.startswith(("file:", "/", ".")) or "://" not in url
    return _file_name(url) if local else url


def _file_name(url: str | None) -> str | None:
    return PurePosixPath(urlsplit(url).path).name or None if url else None


def _nested(value: Value) -> Mapping[str, Value]:
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, dict) else {}


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) and value else None
