"""repomd.xml: where a repository's lists are, and their sums."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from asyncpipe.updates.refused import IndexRefusedError

REPO: Final = "{http://linux.duke.edu/metadata/repo}"
_SEGMENT: Final = r"[A-Za-z0-9_+~-][A-Za-z0-9._+~-]{0,200}"
_PATH: Final = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,5}}")
_MAX_BYTES: Final = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedData:
    """One list of a repository."""

    path: str  # relative to the repository
    size_bytes: int
    sha256_hex: str


def read_repomd(url: str, body: bytes) -> dict[str, ListedData]:
    """Return the lists by their type: ``primary``, ``updateinfo``; others may be there too.

    Raises:
        IndexRefusedError: it is not XML, or names no list of packages.
    """
    from defusedxml import ElementTree  # noqa: PLC0415
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415

    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise IndexRefusedError(f"{url} cannot be read: {error}.") from error
    found: dict[str, ListedData] = {}
    for data in root.iter(f"{REPO}data"):
        location, checksum = data.find(f"{REPO}location"), data.find(f"{REPO}checksum")
        size = data.findtext(f"{REPO}size") or ""
        path = location.get("href", "") if location is not None else ""
        digest = ((checksum.text or "").strip() if checksum is not None else "").lower()
        if (
            _PATH.fullmatch(path)
            and re.fullmatch(r"[0-9a-f]{64}", digest)
            and re.fullmatch(r"[0-9]{1,12}", size)
            and int(size) <= _MAX_BYTES
        ):
            listed = ListedData(path=path, size_bytes=int(size), sha256_hex=digest)
            found[data.get("type", "")] = listed
    if "primary" not in found:
        raise IndexRefusedError(f"{url} names no list of packages with a SHA-256.")
    return found
