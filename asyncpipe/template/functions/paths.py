"""Functions of paths and files; files are read inside the template's own folder only."""

from __future__ import annotations

import base64
import os
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.errors import TemplateError
from asyncpipe.template.functions.spec import Function, on_text
from asyncpipe.template.syntax.blocks import parse_text
from asyncpipe.template.syntax.nodes import Node
from asyncpipe.template.values import cty
from asyncpipe.template.values.cty import ANY, BOOL, STRING, Failed, Val
from asyncpipe.template.values.number import NotKnown

MAX_READ_BYTES: Final = 256 * 1024
_MAX_FILES: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The folders that ``path.root``, ``path.cwd``, ``~`` and relative paths mean."""

    folder: Path
    working_directory: Path
    home: str = ""


class FileFunctions:
    """The functions of one template; ``note`` gets every path that the template names."""

    def __init__(
        self,
        where: Where,
        note: Callable[[str], None],
        render: Callable[[Node, Mapping[str, Val]], Val],
    ) -> None:
        self._where = where
        self._note = note
        self._render = render

    def table(self) -> dict[str, Function]:
        """Return the functions by name."""
        return {
            "abspath": on_text(self._absolute),
            "basename": on_text(_base),
            "dirname": on_text(
                lambda path: _clean(path.rpartition("/")[0] or ("/" if path[:1] == "/" else "."))
            ),
            "file": on_text(self._text),
            "filebase64": on_text(self._base64),
            "fileexists": on_text(self._exists, returns=BOOL),
            "fileset": on_text(self._set, STRING, returns=ANY),
            "pathexpand": on_text(self._expanded),
            "templatefile": Function(call=self._template, takes=(STRING, ANY), shallow=True),
        }

    def _absolute(self, path: str) -> str:
        return _clean(posixpath.join(os.path.abspath(self._where.working_directory), path))  # noqa: PTH100

    def _expanded(self, path: str) -> str:
        if not path.startswith("~"):
            return path
        if path[1:2] not in {"", "/"}:
            raise Failed("another user's home folder")
        if not self._where.home:
            raise NotKnown
        return _clean(posixpath.join(self._where.home, path[2:])) if path[1:] else self._where.home

    def _target(self, path: str, base: Path) -> Path:
        """The file that a path means; only files of the template are read."""
        self._note(path)
        if "\0" in path:
            raise Failed("no such file")
        target = Path(_clean(posixpath.join(str(base), self._expanded(path))))
        try:
            if not target.resolve().is_relative_to(self._where.folder.resolve()):
                raise NotKnown
        except OSError:
            raise NotKnown from None
        return target

    def _read(self, path: str, base: Path) -> bytes:
        target = self._target(path, base)
        try:
            descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise Failed("no such file, or not readable") from None
        with os.fdopen(descriptor, "rb") as stream:
            try:
                content = stream.read(MAX_READ_BYTES + 1)
            except OSError:
                raise Failed("the file cannot be read") from None
        if len(content) > MAX_READ_BYTES:
            raise NotKnown
        return content

    def _text(self, path: str) -> str:
        try:
            return self._read(path, self._where.folder).decode()
        except UnicodeDecodeError:
            raise Failed("the file is not UTF-8 text") from None

    def _base64(self, path: str) -> str:
        return base64.b64encode(self._read(path, self._where.working_directory)).decode()

    def _exists(self, path: str) -> bool:
        target = self._target(path, self._where.folder)
        if target.exists() and not target.is_file():
            raise Failed("this is not a regular file")
        return target.exists()

    def _set(self, path: str, pattern: str) -> Val:
        root = self._target(path, self._where.folder)
        wanted = re.compile(_glob(_clean(pattern)))
        found = []
        for count, file in enumerate(sorted(root.rglob("*"))):
            if count > _MAX_FILES:
                raise NotKnown
            name = file.relative_to(root).as_posix()
            if wanted.fullmatch(name) and file.is_file():
                found.append(cty.text(name))
        return cty.Val(cty.Type("set", STRING), tuple(found))

    def _template(self, path: str, variables: Val) -> Val:
        if variables.type.kind not in cty.MAPPINGS:
            raise Failed("a map of variables is required")
        try:
            node = parse_text(self._text(path), path)
        except TemplateError:
            raise Failed("the template cannot be parsed") from None
        return self._render(node, variables.raw)


def _clean(path: str) -> str:
    return re.sub(r"\A//", "/", posixpath.normpath(path))


def _base(path: str) -> str:
    stripped = path.rstrip("/")
    return stripped.rpartition("/")[2] or ("/" if path else ".")


def _glob(pattern: str) -> str:
    """A pattern of doublestar's as a regular expression."""
    if any(one in pattern for one in "[]{}\\"):
        raise NotKnown
    pieces = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern)
    known = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(known.get(piece) or re.escape(piece) for piece in pieces)
