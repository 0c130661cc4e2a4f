"""Lists of sums, and folders of images: read without believing more than they say (pure)."""

from __future__ import annotations

import re
from typing import Final

# GNU: "HEX  name", "HEX *name"; BSD, as AlmaLinux, Rocky and CentOS have it: "SHA256 (name) = HEX"
_GNU: Final = re.compile(
    r"([0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128})\s+\*?(?:\S*/)?([^\s/]+)", re.ASCII
)
_BSD: Final = re.compile(
    r"SHA(?:256|384|512) ?\((?:\S*/)?([^\s/]+)\) ?= ?([0-9a-fA-F]{64,128})", re.ASCII
)
# "# name: 1234 bytes", a comment of AlmaLinux, Rocky, CentOS and Fedora
_SIZE: Final = re.compile(r"# ?(\S+): (\d{1,15}) bytes", re.ASCII)
_HREF: Final = re.compile(r"""href=["']?(?:\./)?([A-Za-z0-9._-]{1,200})/?["' >]""", re.ASCII)
_MAX_NAMES: Final = 5000


def read(text: bytes) -> dict[str, str]:
    """File name -> sum in lower-case hex."""
    found: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        gnu, bsd = _GNU.fullmatch(line.strip()), _BSD.fullmatch(line.strip())
        if gnu:
            found[gnu[2]] = gnu[1].lower()
        elif bsd:
            found[bsd[1]] = bsd[2].lower()
    return found


def sizes(text: bytes) -> dict[str, int]:
    """File name -> size in bytes, where a list has it."""
    lines = text.decode("utf-8", "replace").splitlines()
    found = (_SIZE.fullmatch(line.strip()) for line in lines)
    return {one[1]: int(one[2]) for one in found if one}


def names_in(page: bytes) -> list[str]:
    """Names of files and folders that a web server's page of a folder links to."""
    found = _HREF.findall(page.decode("utf-8", "replace"))
    return list(dict.fromkeys(found))[:_MAX_NAMES]
