"""However dense what acts is: the quick ways of taking it out say what the slow ones say."""

from __future__ import annotations

import random
import re

import pytest

from asyncpipe.text.mask.visible import signs, views
from asyncpipe.text.safe import decodable, escaped, for_console

_STEPS = 40
_SEVEN = (
    b"\x1b[m", b"\x1b[31m", b"\x1b[", b"\x1b", b"[", b"m", b"\x1b]", b"\x1b]0;x\x07", b"\x1b]0;",
    b"\x07", b"\x1b\\", b"\\", b"\x1bP", b"\x1b(B", b"(B", b"\x1b7", b"\x1b ", b"0", b";", b"]",
)  # fmt: skip
_EIGHT = (
    b"\xc2\x9d", b"\xc2\x9b", b"\xc2\x9b31m", b"\xc2\x9c", b"\xc2", b"\x9d", b"\x90",
)  # fmt: skip
_OTHERS = (
    b"\xe2\x80\x8b", b"\xe2", b"\x80\x8b", b"\xcd\x8f", b"\xf3\xa0\x80\x81", b"a", b"bc", b"s3cret",
    b"\n", b"\r", b"\r\n", b"\x00", b"\x00\x00\x00\x00", b"\x08", b"a\x08a", b"\xff", b"\xc3\xa9",
    b" ", b"\t", b"\xed\xa0\x80", "\u2028".encode(),
)  # fmt: skip


def _text(source: random.Random, units: tuple[bytes, ...]) -> bytes:
    few = [*source.sample(units, source.randint(1, 7)), b"\n"]
    weights = [source.choice([1, 1, 5, 30]) for _ in few]
    data = b"".join(source.choices(few, weights, k=source.choice([50, 1500, 4000])))
    return data.decode("utf-8", "ignore").encode() if source.random() < 0.5 else data


@pytest.mark.parametrize("seed", range(_STEPS))
def test_every_byte_of_what_is_seen_stands_where_it_is_said_to_stand(seed: int) -> None:
    data = _text(random.Random(seed), _SEVEN + _EIGHT + _OTHERS)[:16000]
    for view in views(data, signs(data)):
        seen = [at for at, byte in enumerate(view.text) if byte != ord("\n")]
        places = [start for start, _ in view.places((at, at + 1) for at in seen)]
        assert bytes(data[at] for at in places) == view.text.replace(b"\n", b"")


def _written_singly(text: str) -> str:
    """What the file shows, one run of a character after another."""

    def written(run: re.Match[str]) -> str:
        shown = escaped(run[1])
        counted = shown != run[1] and len(run[0]) > 3
        return f"{shown}{{{len(run[0])}}}" if counted else shown * len(run[0])

    return re.sub(r"(.)\1*", written, text, flags=re.DOTALL)


@pytest.mark.parametrize("seed", range(_STEPS))
def test_a_long_text_is_written_out_as_its_characters_are(seed: int) -> None:
    raw = _text(random.Random(seed), _SEVEN + _EIGHT + _OTHERS).decode("utf-8", "surrogateescape")
    text = decodable(raw)
    assert text == "".join(map(decodable, raw))
    assert escaped(text) == _written_singly(text)


@pytest.mark.parametrize("seed", range(_STEPS))
def test_many_lines_are_shown_as_each_is(seed: int) -> None:
    text = decodable(_text(random.Random(seed), _SEVEN + _OTHERS).decode("utf-8", "replace"))
    lines = [line[:500] for line in text.split("\n")]
    shown = [for_console(line, 8192) for line in lines]
    assert for_console("\n".join(lines), 8192) == "\n".join(shown)


def test_a_progress_bar_shows_its_last_text_however_often_it_repaints() -> None:
    bar = "".join(f"{number:05d} of 05000 done\r" for number in range(5000))
    assert for_console(f"{bar}all done\nnext", 100) == "all done\nnext"


def test_a_flood_of_returns_is_dropped_and_hides_no_text() -> None:
    at_most, one_more = "ab\r" * 1024, "ab\r" * 1025
    assert for_console(f"{at_most}end\nnext", 10_000) == "end\nnext"
    assert for_console(f"{one_more}end\nnext", 10_000) == f"{'ab' * 1025}end\nnext"
