"""Random secrets in every form, decorated, in any chunks and pauses: none of it may be read."""

from __future__ import annotations

import itertools
import random

import pytest

from asyncpipe.text.mask import Redactor
from asyncpipe.text.secrets import secrets_of
from tests.text.leaks import (
    ASCII_ONLY,
    BASE64,
    DECORATIONS,
    FORMS,
    HIDDEN,
    core_of,
    secret_of,
    written_as,
)


def _shown(redactor: Redactor, data: bytes, source: random.Random) -> bytes:
    cuts = sorted(source.sample(range(len(data) + 1), k=min(len(data), source.randint(0, 6))))
    out = b""
    for start, end in itertools.pairwise([0, *cuts, len(data)]):
        out += redactor.feed(data[start:end])
        if source.random() < 0.5:
            out += redactor.settle()
    return out + redactor.flush()


def _leak(seed: int) -> str | None:
    source = random.Random(seed)
    decoration = source.choice(list(DECORATIONS))
    value = secret_of(source, ascii_only=decoration in ASCII_ONLY)
    form = source.choice([*FORMS, *BASE64])
    others = {f"other{number}": secret_of(source, ascii_only=False) for number in range(3)}
    written = written_as(form, value, source)
    shown_bytes = DECORATIONS[decoration](written)
    line = b"    n.x: it is " + shown_bytes + source.choice([b" here\n", b"\n", b"", b"\r\n", b"'"])
    out = _shown(Redactor(secrets_of({}, {"pw": value, **others})), line, source)
    text = out.decode("utf-8", "replace")
    readable = HIDDEN.sub("", text)
    needle = core_of(form, written)
    if needle in text or needle in readable or value in readable:
        return f"seed {seed}: {form}, {decoration}: {value!r} in {text!r}"
    return None


def _leaks(seeds: range) -> list[str]:
    return [leak for leak in map(_leak, seeds) if leak]


@pytest.mark.parametrize("block", range(4))
def test_no_form_of_a_secret_can_be_read(block: int) -> None:
    assert _leaks(range(block * 25, block * 25 + 25)) == []


@pytest.mark.heavy
@pytest.mark.parametrize("block", range(20))  # each has a test's time limit for itself
def test_no_form_of_ten_thousand_secrets_can_be_read(block: int) -> None:
    assert _leaks(range(block * 500, block * 500 + 500)) == []
