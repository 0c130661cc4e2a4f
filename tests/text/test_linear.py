"""What masking costs grows as the output does, whoever wrote it; work is counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from asyncpipe.text.mask import Redactor
from asyncpipe.text.scan import Scanner
from asyncpipe.text.secrets import secrets_of
from tests.text.hostile import HOSTILE, stream

_KNOWN = secrets_of({}, {"pw": "s3cr3t-P4ss,w0rd", "other": "ab" * 20})
_CHUNK_BYTES = 65536
_MOST_CALLS_PER_KIB = 500
_MOST_SCANS_PER_BYTE = 16


def _mask(data: bytes) -> None:
    redactor = Redactor(_KNOWN)
    for at in range(0, len(data), _CHUNK_BYTES):
        redactor.feed(data[at : at + _CHUNK_BYTES])
    redactor.flush()


def _calls(work: Callable[[], None]) -> int:
    """Count the calls of functions, Python's own among them."""
    count = 0

    def heard(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(heard)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_output_costs_twice_the_calls(name: str) -> None:
    _mask(stream(name, 1000))  # compiles
    once = _calls(lambda: _mask(stream(name, 2 * _CHUNK_BYTES)))
    twice = _calls(lambda: _mask(stream(name, 4 * _CHUNK_BYTES)))
    assert twice <= 2.3 * once + 1000
    assert twice <= _MOST_CALLS_PER_KIB * 4 * _CHUNK_BYTES // 1024


@pytest.mark.parametrize("name", HOSTILE)
def test_each_byte_is_scanned_a_few_times_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = 0
    scan = Scanner._scan

    def counting(self: Scanner, text: bytes, take: Callable[..., bool | None]) -> None:
        nonlocal scanned
        scanned += len(text)
        scan(self, text, take)

    monkeypatch.setattr(Scanner, "_scan", counting)
    _mask(stream(name, 4 * _CHUNK_BYTES))
    assert scanned <= _MOST_SCANS_PER_BYTE * 4 * _CHUNK_BYTES


def test_lines_full_of_secrets_are_masked_whole_and_stay_lines() -> None:
    data = b"password=s1mpl3-one password=s1mpl3-two\n" * 4000
    redactor = Redactor()
    out = redactor.feed(data) + redactor.flush()
    assert b"s1mpl3" not in out
    assert out.count(b"\n") == data.count(b"\n")
    assert set(out.split(b"\n")) == {b"****", b""}


def test_lines_full_of_hidden_secrets_are_masked_whole_too() -> None:
    secret = b"\x1b[31m".join(b"%c" % letter for letter in b"password=s1mpl3-one")
    data = b"".join(b"%s %d\n" % (secret, number) for number in range(4000))
    redactor = Redactor()
    out = redactor.feed(data) + redactor.flush()
    assert b"3\x1b[31m-\x1b[31mo" not in out
    assert out.count(b"\n") == data.count(b"\n")


def test_a_secret_behind_many_that_are_none_is_masked_alone() -> None:
    data = b"password=$VARIABLE of the template's own, which is no secret by itself, it seems ok\n"
    data = data * 500 + b"password=s1mpl3-one here\n"
    redactor = Redactor()
    out = redactor.feed(data) + redactor.flush()
    assert out == data.replace(b"s1mpl3-one", b"****")


def test_a_key_after_many_lines_is_masked_and_so_are_very_many_keys() -> None:
    begin, end = b"-----BEGIN PRIVATE " + b"KEY-----\n", b"-----END PRIVATE " + b"KEY-----\n"
    body = b"MIIEpAIBAAKCAQEA" * 4 + b"\n"
    redactor = Redactor()
    data = b"an ordinary line\n" * 5000 + begin + body * 20 + end + b"and on\n"
    out = redactor.feed(data) + redactor.feed((begin + body * 20 + end) * 40) + redactor.flush()
    assert b"MIIE" not in out
    assert b"and on\n" in out
    assert out.startswith(b"an ordinary line\n" * 5000)
