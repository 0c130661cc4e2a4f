"""The machine rows and plugin versions that Packer writes to PACKER_LOG_PATH.

In plain mode a row reads ``machine readable: NAME,artifact []string{"0", "file", "0", "out/a"}``
(SDK ``BasicUi.Machine``): Go string literals, nothing else escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from asyncpipe.model.build import PackerArtifact

MARKS: Final = (b"machine readable: ", b"packer-plugin-")  # a line with neither says nothing here
_ROW: Final = re.compile(
    r"machine readable: (?P<target>.*),(?P<kind>[\w-]+) \[\]string\{(?P<items>.*)\}\s*$"
)
_ITEM: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_GO_ESCAPE: Final = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)")
_GO_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
# .../plugins/github.com/vatesfr/xenserver/packer-plugin-xenserver_v0.11.4_x5.0_linux_amd64
_PLUGIN: Final = re.compile(
    r"/(?P<source>[\w.-]+/[\w.-]+/[\w.-]+)/packer-plugin-[\w-]+?_v(?P<version>[^_\s/]+)_x\d"
)
_MOST_ARTIFACTS: Final = 1000


class MachineRows:
    """Collects artifacts and plugin versions from lines of the log."""

    def __init__(self) -> None:
        self._builder_ids: dict[tuple[str, str], str] = {}
        self._artifacts: dict[tuple[str, str], PackerArtifact] = {}
        self._plugins: dict[str, str] = {}

    def feed_line(self, line: str) -> None:
        """Take one line of the log; most of them say nothing here."""
        row = _ROW.search(line)
        if row:
            if row["kind"] == "artifact":
                self._artifact(row["target"], [_unquoted(i) for i in _ITEM.findall(row["items"])])
            return
        plugin = _PLUGIN.search(line)
        if plugin and len(self._plugins) < _MOST_ARTIFACTS:
            self._plugins[plugin["source"]] = plugin["version"]

    def feed_lines(self, lines: Iterable[str]) -> None:
        """Take many lines."""
        for line in lines:
            self.feed_line(line)

    @property
    def artifacts(self) -> tuple[PackerArtifact, ...]:
        """Each file once: a post-processor repeats what it was given."""
        return tuple(self._artifacts.values())

    @property
    def plugin_versions(self) -> dict[str, str]:
        """Version by source address (``github.com/vatesfr/xenserver``)."""
        return dict(sorted(self._plugins.items()))

    def _artifact(self, target: str, items: list[str]) -> None:
        match items:
            case [index, "builder-id", builder_id] if len(self._builder_ids) < _MOST_ARTIFACTS:
                self._builder_ids[target, index] = builder_id
            case [index, "file", _, path] if len(self._artifacts) < _MOST_ARTIFACTS:
                self._artifacts.setdefault(
                    (target, path),
                    PackerArtifact(
                        build_name=target,
                        builder_id=self._builder_ids.get((target, index), ""),
                        path=path,
                    ),
                )
            case _:
                pass


def _unquoted(literal: str) -> str:
    """Read the inside of a Go string literal (strconv.Quote)."""
    return _GO_ESCAPE.sub(_unescaped, literal) if "\\" in literal else literal


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        code = int(escape[1:], 16)
        return chr(code) if code < 0x110000 else "\ufffd"
    return _GO_SHORT.get(escape, escape)
