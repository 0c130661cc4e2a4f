from __future__ import annotations

import base64
import itertools
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.text import mask
from asyncpipe.text.mask import Redactor
from asyncpipe.text.secrets import NO_SECRETS, Secrets, secrets_of
from tests.packer.recordings import names, recorded

PASSWORD = "s3cr3t-P4ss,w0rd"
KNOWN = secrets_of({"API_TOKEN": "tok/en+with=signs"}, {"pw": PASSWORD, "user": "root"})


def _chunked(data: bytes, cuts: list[int], secrets: Secrets = KNOWN) -> tuple[bytes, int]:
    redactor = Redactor(secrets)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [redactor.feed(data[a:b]) for a, b in itertools.pairwise(places)]
    return b"".join([*pieces, redactor.flush()]), redactor.count


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        (f"password {PASSWORD}.", "password ****."),
        ("row s3cr3t-P4ss%!(PACKER_COMMA)w0rd,x", "row ****,x"),
        ("url " + quote(PASSWORD, safe=""), "url ****"),
        ("tok/en+with=signs tok%2Fen%2Bwith%3Dsigns", "**** ****"),
        ("/srv/root/images and root itself", "/srv/root/images and root itself"),
        (
            "Getting XVA https://h/export?uuid=U&session_id=OpaqueRef:5a39290c-9231",
            "Getting XVA https://h/export?uuid=U&session_id=****",
        ),
        (
            "PUT 'https://h/import_raw_vdi?session_id=OpaqueRef%3A5a39&task_id=OpaqueRef%3Aaf'",
            "PUT 'https://h/import_raw_vdi?session_id=****&task_id=OpaqueRef%3Aaf'",
        ),
        ("Cookie: session_id=OpaqueRef:5a39\r", "Cookie: session_id=****\r"),
        (
            "Getting VDI https://root:hunter2@h/export_raw_vdi?vdi=1",
            "Getting VDI https://root:****@h/export_raw_vdi?vdi=1",
        ),
        ("clone https://github.com:443/a/b mail@example.org", None),
        ("ssh://git@github.com/a/b", None),
        ("xe -s h -u root -pw hunter2 vm-list", "xe -s h -u root -pw **** vm-list"),
        ('[]string{"-u", "root", "-pw", "hunter2"}', '[]string{"-u", "root", "-pw", "****"}'),
        ("key AKIAIOSFODNN7EXAMPLE used", "key **** used"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_secret_access_key = ****",
        ),
        ("Authorization: Basic cm9vdDpodW50ZXIy", "Authorization: ****"),
        ('"authorization": "Bearer abc"', '"authorization": "****"'),
        ("sent bearer abcdefghijklmnop.q", "sent bearer ****"),
        ("the bearer of bad news", None),
        ("GET /o?X-Amz-Signature=0123456789abcdef&x=1", "GET /o?X-Amz-Signature=****&x=1"),
        ("Step: Found SR for upload 'OpaqueRef:d67a2a7d'", None),
        ("Creating disk 0 with size 40000 MB", None),
    ],
)
def test_a_line_leaves_without_its_secrets(line: str, clean: str | None) -> None:
    assert mask.text(line, KNOWN) == (line if clean is None else clean)


@pytest.mark.parametrize("shift", range(6))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_base64_hides_a_secret_at_no_alignment(shift: int, encoding: str) -> None:
    encoded = base64.b64encode(("u" * shift + PASSWORD + "\n").encode(encoding)).decode()
    clean = mask.text(f"> {encoded}", KNOWN)
    left = clean.removeprefix("> ").replace("****", "")
    assert len(left) <= len(encoded) - len(PASSWORD)


def test_the_lines_of_a_pem_block_are_masked_whatever_stands_before_them() -> None:
    text = (
        "    n.x: -----BEGIN RSA PRIVATE KEY-----\n    n.x: MIIEpAIBAAKCAQEA/abc+\n"
        "    n.x: short=\n    n.x: -----END RSA PRIVATE KEY-----\n    n.x: and on it goes\n"
    )
    clean = mask.text(text)
    assert "MIIE" not in clean
    assert "short" not in clean
    assert clean.endswith("    n.x: and on it goes\n")


def test_a_pem_block_that_never_ends_does_not_swallow_the_log() -> None:
    text = "-----BEGIN PRIVATE KEY-----\n" + "word\n" * 400
    assert mask.text(text).count("word") > 100


def test_each_line_of_a_secret_with_several_lines_is_hidden() -> None:
    secrets = secrets_of({}, {"key": "first-line-of-it\nsecond-line-of-it\n"})
    clean = mask.text("==> n.x: first-line-of-it\n==> n.x: second-line-of-it\n", secrets)
    assert clean == "==> n.x: ****\n==> n.x: ****\n"


@pytest.mark.parametrize(
    "value", ["root", "true", "12345", "40000000", "Debian", "packer", "xxxxxxx", "", " a b "]
)
def test_common_and_short_values_shred_nothing(value: str) -> None:
    assert secrets_of({"X_TOKEN": value}, {"x": value}) == NO_SECRETS


def test_the_environment_gives_its_secrets_and_keeps_its_paths() -> None:
    environment = {
        "HOME": "/home/builder",
        "SSH_AUTH_SOCK": "/tmp/ssh-abc/agent.1",
        "GOOGLE_APPLICATION_CREDENTIALS": "/etc/google/key.json",
        "PWD": "/srv/builds/one",
        "PKR_VAR_remote_password": "hunter2-and-more",
        "HTTPS_PROXY": "http://me:proxy%20pass@proxy:3128/",
    }
    secrets = secrets_of(environment, {})
    text = " ".join([*environment.values(), "proxy pass"])
    clean = mask.text(text, secrets)
    assert "hunter2" not in clean
    assert "proxy%20pass" not in clean
    assert "proxy pass" not in clean
    for name in ("HOME", "SSH_AUTH_SOCK", "GOOGLE_APPLICATION_CREDENTIALS", "PWD"):
        assert environment[name] in clean


def test_secrets_do_not_show_themselves() -> None:
    assert "s3cr3t" not in repr(KNOWN)


PIECES = st.sampled_from(
    [
        *(PASSWORD, "s3cr3t-", "P4ss", "w0rd", "session_id=OpaqueRef:abc", "session", "_id=xyz"),
        *("https://", "root:hunter2@", "-pw ", "hunter2", "\n", " ", "x", "Bearer ", "a" * 20),
        *("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "\r", "é"),
        base64.b64encode(PASSWORD.encode()).decode(),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode())
CUTS = st.lists(st.integers(0, 400), max_size=12)


@given(data=TEXTS, cuts=CUTS)
def test_the_chunks_do_not_matter(data: bytes, cuts: list[int]) -> None:
    assert _chunked(data, cuts) == _chunked(data, [])


@given(data=TEXTS, cuts=CUTS)
def test_a_known_secret_never_leaves_even_when_every_pause_shows_what_it_can(
    data: bytes, cuts: list[int]
) -> None:
    redactor = Redactor(KNOWN)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    out = b""
    for start, end in itertools.pairwise(places):
        out += redactor.feed(data[start:end]) + redactor.settle()
    out += redactor.flush()
    assert PASSWORD.encode() not in out


_BETWEEN = (
    *("\x1b\x9d", "\x1b\x85", "\x1b\x9b", "\x9b", "\x1b", "\x1b\x00", "\x1b[\x9d", "\x1b[\x0031m"),
    *("\x1b\x00[31m", "\x1b[3\x901m", "\x1b \x98", "\x1b\x1b\x9d", "\x1b\x9d\x1b[m", "\x1b(\x00B"),
    *("\x1b\x08[m", "\x1b\u200b", "\x1b\u200b[m", "\x1b[\u200b31m", "\x1b[31m"),
)


@pytest.mark.parametrize("between", _BETWEEN, ids=ascii)
def test_whatever_a_terminal_makes_of_what_stands_between_letters_they_are_masked(
    between: str,
) -> None:
    """A control within a sequence ends it on one terminal, and is skipped on another."""
    line = f"it is {between.join(PASSWORD)} here\n".encode()
    for size in (5, 7, len(line)):
        redactor = Redactor(KNOWN)
        out = b"".join(
            redactor.feed(line[at : at + size]) + redactor.settle()
            for at in range(0, len(line), size)
        )
        assert out + redactor.flush() == b"it is **** here\n"


@given(cut=st.integers(0, 200), pause=st.booleans())
def test_a_secret_cut_in_two_is_masked_once(cut: int, *, pause: bool) -> None:
    line = f"    n.x: the word is {PASSWORD} and session_id=OpaqueRef:12-34&x\n".encode()
    redactor = Redactor(KNOWN)
    out = redactor.feed(line[:cut]) + (redactor.settle() if pause else b"")
    out += redactor.feed(line[cut:]) + redactor.flush()
    assert out == b"    n.x: the word is **** and session_id=****&x\n"
    assert redactor.count == 2


def test_a_prompt_without_newline_can_be_shown() -> None:
    redactor = Redactor(KNOWN)
    assert redactor.feed(b"Continue? [y/N] ") == b""
    assert redactor.settle() == b"Continue? [y/N] "


def test_the_beginning_of_a_secret_is_not_shown_by_a_pause_nor_by_the_end() -> None:
    redactor = Redactor(KNOWN)
    redactor.feed(b"it is s3cr3t-P4")
    assert redactor.settle() == b"it is "
    assert redactor.flush() == b"****"


def test_a_line_without_end_leaves_in_pieces() -> None:
    redactor = Redactor(KNOWN)
    total, most_held = 0, 0
    for _ in range(50):
        total += len(redactor.feed(b"x" * 60_000))
        most_held = max(most_held, 60_000 * (_ + 1) - total)
    assert most_held < 200_000
    assert total + len(redactor.flush()) == 3_000_000


def test_only_what_is_complete_of_a_chunk_waits_for_nothing() -> None:
    redactor = Redactor(KNOWN)
    assert redactor.feed(b"one\ntwo\nthr") == b"one\ntwo\n"
    assert redactor.pending


@pytest.mark.parametrize("name", names())
def test_nothing_is_lost_of_a_recording_but_its_secrets(name: str) -> None:
    data = recorded(name)
    clean, count = _chunked(data, list(range(0, len(data), 997)))
    assert clean.count(b"\n") == data.count(b"\n")
    assert b"session_id=OpaqueRef" not in clean
    assert (clean == data) == (count == 0)


def test_a_secret_that_ends_as_it_begins_is_masked_whole() -> None:
    secrets = secrets_of({}, {"pw": "hunter2-hunter2"})
    assert mask.text("with hunter2-hunter2", secrets) == "with ****"
    redactor = Redactor(secrets)
    redactor.feed(b"with hunter2-hunter2")
    assert redactor.settle() + redactor.flush() == b"with ****"
