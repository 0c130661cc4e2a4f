"""What draws on a terminal is taken out everywhere in the same way, and no more than that."""

from __future__ import annotations

import pytest

from asyncpipe.text.safe import clean, for_console, without_escapes

LINES = {
    "a\x1b[1;31mb\x1b[0mc": "abc",  # colours
    "a\x9b2Jb": "ab",  # the same in eight bits
    "a\x1b[?25lb": "ab",
    "a\x1b]0;title\x07b": "ab",
    "a\x1b]8;;http://x\x1b\\b\x1b]8;;\x1b\\c": "abc",
    "a\x9d0;title\x9cb": "ab",
    "a\x1bPq#0\x1b\\b": "ab",  # a picture
    "a\x1b(Bb\x1b7c": "abc",
    "a\x1bM failed \x07b": "a failed \x07b",  # no string begins there
    "a\x1b]0;failed": "a0;failed",  # a string without an end hides nothing
    "plain ünïcode": "plain ünïcode",
}


@pytest.mark.parametrize("line", LINES, ids=ascii)
def test_escape_sequences_go_and_words_stay(line: str) -> None:
    assert without_escapes(line) == LINES[line]


@pytest.mark.parametrize("line", LINES, ids=ascii)
def test_console_and_report_show_the_same_words(line: str) -> None:
    assert clean(line) == for_console(line, 8192) == LINES[line].replace("\x07", "")
