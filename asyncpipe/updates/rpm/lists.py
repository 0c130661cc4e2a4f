"""The lists of a repository, read element by element: primary.xml and updateinfo.xml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from asyncpipe.updates.refused import IndexRefusedError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

COMMON: Final = "{http://linux.duke.edu/metadata/common}"


def read_primary(file: BinaryIO) -> Iterator[tuple[str, str, str]]:
    """Yield name, [epoch:]version-release and architecture of each package."""
    for package in _elements(file, f"{COMMON}package"):
        version = package.find(f"{COMMON}version")
        name = package.findtext(f"{COMMON}name") or ""
        if name and version is not None:
            yield name, _evr(version, "ver", "rel"), package.findtext(f"{COMMON}arch") or ""


def read_security(file: BinaryIO) -> Iterator[tuple[str, str, str]]:
    """Yield name, [epoch:]version-release and architecture of each security fix."""
    for update in _elements(file, "update"):
        if update.get("type") == "security":
            for package in update.iter("package"):
                yield (
                    package.get("name", ""),
                    _evr(package, "version", "release"),
                    package.get("arch", ""),
                )


def _evr(element: Element, version: str, release: str) -> str:
    epoch = element.get("epoch") or "0"
    bare = f"{element.get(version, '')}-{element.get(release, '')}"
    return bare if epoch == "0" else f"{epoch}:{bare}"


def _elements(file: BinaryIO, tag: str) -> Iterator[Element]:
    """Each element of a tag, whole; the document is never in memory as a whole."""
    from defusedxml import ElementTree  # noqa: PLC0415
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415

    root: Element | None = None
    try:
        for event, element in ElementTree.iterparse(file, events=("start", "end")):
            if root is None:
                root = element
            if event == "end" and element.tag == tag:
                yield element
                root.clear()
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise IndexRefusedError(f"A repository's list cannot be read: {error}.") from error
