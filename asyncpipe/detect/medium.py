"""Lines of Packer's output -> the medium that it retrieves.

``Retrieving ISO`` is followed by ``Trying URL`` for each URL until one works (packer-plugin-sdk,
``multistep/commonsteps/step_download.go``); nothing of the guest runs before that.
"""

from __future__ import annotations

import re

from asyncpipe.text.lines import LineFinder, Lines, walk
from asyncpipe.text.safe import without_escapes

_MAX_CHARS = 2000
_TELLING = LineFinder(r": Retrieving ")
_SAID = re.compile(r"==> [^\s:][^:]{0,200}: (Retrieving |Trying )?(\S*)(.*)")


class MediumCollector:
    """Keeps the last URL that Packer tried; lines after the retrieval are ignored."""

    def __init__(self) -> None:
        self.url: str | None = None
        self._is_open: bool | None = None  # None: not begun

    def feed_lines(self, lines: Lines) -> None:
        """Take a batch of lines."""
        if self._is_open is not False:
            found = _TELLING.look(lines)
            walk(lines, found, take=self.feed_line, is_attentive=lambda: self._is_open is True)

    def feed_line(self, text: str) -> None:
        """Take one line as Packer prints it."""
        if self._is_open is False or not text.lstrip("\x1b[0123456789;m").startswith("==> "):
            return
        match = _SAID.match(without_escapes(text[:_MAX_CHARS]))
        if match is None:
            return
        if match[1] == "Retrieving ":
            self._is_open = True
        elif self._is_open and match[1] == "Trying ":
            self.url = match[2]
        elif self._is_open and not match[3].startswith(" => "):
            self._is_open = False
