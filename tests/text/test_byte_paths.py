"""What is done to many bytes at once is what is done to each line; a flood hides no secret."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncpipe.text.lines import LineFinder, Lines, walk
from asyncpipe.text.mask import Redactor
from asyncpipe.text.mask.stream import _FILLED, MASK, _lines_masked
from asyncpipe.text.safe import decodable, for_console, is_plain
from asyncpipe.text.secrets import secrets_of
from tests.text.hostile import HOSTILE

SECRET = "kT9-vQ2x8LmZ4wRb"
SECRETS = secrets_of({}, {"pw": SECRET})
ERRORS = LineFinder(r"^Error: ", is_common=True)
ONE_ERROR = LineFinder(r"^Error: 7$", is_common=True)

latin = st.characters(min_codepoint=0, max_codepoint=0xFF)
acting = st.sampled_from(
    [
        "\x00",
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\x1b",
        "\x07",
        "\x08",
        "\r",
        "\x7f",
        "\t",
        "\x90",
        "\x9b",
        "\x9b31m",
        "\x9c",
        "\x9d",
        "\x9dtitle\x9c",
        "\x85",
        "\xad",
        "\xa0",
        "é",
        "\u200b",
        "ok",
    ]
)
line = st.text(latin, max_size=12) | st.lists(acting, max_size=12).map("".join)
lines = st.lists(line.map(lambda text: text.replace("\n", "")), min_size=1, max_size=40)


@settings(deadline=None)  # the first one compiles
@given(lines)
def test_a_long_text_is_shown_as_its_lines_are(few: list[str]) -> None:
    many = few * (1 + 600 // len("\n".join(few) + "\n"))
    singly = [for_console(one, 8192) for one in many]
    together = for_console("\n".join(many), 8192).split("\n")
    # blanks at the end of a line that repaints itself may go or stay
    assert [one.rstrip() for one in together] == [one.rstrip() for one in singly]


@settings(deadline=None)  # the first one compiles
@given(
    st.lists(st.sampled_from([b"a", b"\n", b"x", b"\xff", b"b", b"  "]), max_size=60), st.just(9)
)
def test_lines_are_masked_whole_in_bytes_as_by_a_pattern(few: list[bytes], times: int) -> None:
    part = b"".join(few) * (times * 512 // max(1, len(few)))
    assert _lines_masked(part) == _FILLED.subn(MASK, part)


@settings(deadline=None)  # the first one compiles
@given(
    st.lists(st.sampled_from([*HOSTILE.values(), b"ok\n", SECRET.encode() + b"\n"]), max_size=50)
)
def test_what_is_said_to_be_plain_is_plain(units: list[bytes]) -> None:
    redactor = Redactor(SECRETS)
    out = redactor.feed(b"".join(units) * 20 + b"\n")
    assert SECRET.encode() not in out
    text = decodable(out.decode("utf-8", "surrogateescape"))
    if redactor.is_plain and text.isascii() and "\r" not in text:
        assert is_plain(text)


def taken(count: int, finder: LineFinder = ERRORS) -> list[int]:
    """Which of so many lines a reader gets that waits for what follows each of them."""
    seen: list[str] = []
    many = Lines("\n".join(f"Error: {number}" for number in range(count)))
    ERRORS.look(many)  # another reader of the same lines
    walk(many, finder.look(many), take=seen.append, is_attentive=lambda: bool(seen))
    return [int(one.rpartition(" ")[2]) for one in seen]


def test_as_many_errors_as_a_build_prints_are_all_read() -> None:
    assert taken(500) == list(range(500))


def test_of_a_flood_of_errors_both_ends_are_read_and_what_follows_the_first() -> None:
    read = taken(5000)
    assert read == [*range(64), *range(5000 - 32, 5000)]


def test_what_is_a_flood_to_one_reader_is_none_to_another() -> None:
    assert taken(5000, ONE_ERROR) == [*range(7, 108)]


def test_a_line_between_two_floods_is_not_read_but_its_secret_is_masked() -> None:
    flood = b"Error: x\n" * 20_000
    out = Redactor(SECRETS).feed(flood + f"Error: {SECRET}\n".encode() + flood)
    assert SECRET.encode() not in out
    assert out.count(MASK) == 1
