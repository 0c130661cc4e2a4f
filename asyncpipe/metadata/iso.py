"""The installation medium: what Packer retrieved, else what the template names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from asyncpipe.model.build import HostObjects
from asyncpipe.model.template import Template, Value

Document = dict[str, object]

# Packer also takes "none", and "file:" with a URL or path of a list: those are not checksums.
# https://developer.hashicorp.com/packer/integrations/hashicorp/qemu: iso_checksum
_DIGEST: Final = re.compile(r"((md5|sha1|sha224|sha256|sha384|sha512):)?[0-9a-f]+", re.IGNORECASE)


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
        "url": public_url(url),
        "name": named["name"] or _file_name(url),
        "checksum": _digest(named["checksum"]),
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


def _digest(checksum: str | None) -> str | None:
    """The checksum itself; None for what only says where it would be found."""
    return checksum if checksum and _DIGEST.fullmatch(checksum) else None


def public_url(url: str | None) -> str | None:
    """The URL; of a file on this machine only its name."""
    if not url:
        return None
    local = url.startswith(("file:", "/", ".")) or "://" not in url
    return _file_name(url) if local else url


def _file_name(url: str | None) -> str | None:
    return PurePosixPath(unquote(urlsplit(url).path)).name or None if url else None


def _nested(value: Value) -> Mapping[str, Value]:
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, dict) else {}


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) and value else None
