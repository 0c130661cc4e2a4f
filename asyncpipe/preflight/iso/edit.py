"""Write the newer ISO into a template: only in the literals that name the old one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from asyncpipe.errors import TemplateError
from asyncpipe.preflight.iso.judge import IsoResult
from asyncpipe.preflight.iso.vendors import image_of
from asyncpipe.system.files import replace_file

# Comments, heredocs (left alone) and quoted strings of HCL; of a string, what is between quotes.
_TOKEN: Final = re.compile(
    r"(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)"
    r"|(?P<heredoc><<-?(?P<end>\w+)\n.*?\n[ \t]*(?P=end)\b)"
    r'|"(?P<text>(?:[^"\\\n]|\\.)*)"',
    re.DOTALL,
)


def update(result: IsoResult) -> list[str]:
    """Replace name, folder and sum of the old ISO; returns ``file:line`` of each change.

    Nothing outside of quoted literals changes: comments and layout stay. Var files are left alone.

    Raises:
        TemplateError: a file cannot be written.
    """
    changes = _changes(result)
    places: list[str] = []
    for path in dict.fromkeys(result.medium.template.files):
        if ".pkrvars." in path.name:
            continue
        target = path.resolve()  # a link to a file that templates share
        try:
            before = target.read_text("utf-8")
            after, lines = _replaced(before, changes)
            if after != before:
                replace_file(target, after.encode(), mode=target.stat().st_mode & 0o777)
                places += [f"{path}:{line}" for line in lines]
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(f"{path} cannot be changed: {error}.", file=str(path)) from error
    return places


def _changes(result: IsoResult) -> list[tuple[str, str]]:
    """Old and new text, longest first: the sum, the folder of the version, the file's name."""
    medium, name = result.medium, result.newer_url.rpartition("/")[2]
    changes = [(medium.name, name)]
    if medium.sum_hex and result.newer_sum_hex:
        changes.append((medium.sum_hex, result.newer_sum_hex))
    old, new = image_of(medium.name), image_of(name)
    if old is not None and new is not None:
        for version in re.finditer(rf"([^/]+)/{re.escape(old.version)}/", medium.url):
            parent = re.search(rf"([^/]+)/{re.escape(new.version)}/", result.newer_url)
            changes.append((version[0], parent[0] if parent else version[0]))
    return [(before, after) for before, after in changes if before != after]


def _replaced(text: str, changes: list[tuple[str, str]]) -> tuple[str, list[int]]:
    pieces: list[str] = []
    lines: list[int] = []
    done = 0
    for start, end in _literals(text):
        literal = text[start:end]
        for before, after in changes:
            literal = literal.replace(before, after)
        if literal != text[start:end]:
            lines.append(text.count("\n", 0, start) + 1)
        pieces += [text[done:start], literal]
        done = end
    return "".join((*pieces, text[done:])), lines


def _literals(text: str) -> Iterator[tuple[int, int]]:
    for match in _TOKEN.finditer(text):
        if match["text"] is not None:
            yield match.span("text")
