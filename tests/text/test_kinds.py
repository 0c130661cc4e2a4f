from __future__ import annotations

import pytest

from asyncpipe.text import mask
from asyncpipe.text.mask import Redactor
from tests.packer.recordings import names, recorded
from tests.text.corpus import SAMPLES, Sample

_KEY = ["MIIEpAIBAAKCAQEA" + "z3Xh" * 12, "Qk9" + "vYmFy" * 12 + "Q==", "c2hvcnQ="]
_BEGIN, _END = "-----BEGIN RSA " + "PRIVATE KEY-----", "-----END RSA " + "PRIVATE KEY-----"
_samples = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)


def test_there_are_a_hundred_kinds_at_least_each_with_a_name_of_its_own() -> None:
    kinds = [sample.kind for sample in SAMPLES]
    assert len(kinds) == len(set(kinds)) >= 100


@_samples
def test_a_true_secret_is_masked_and_a_near_miss_is_not(sample: Sample) -> None:
    clean = mask.text(sample.line)
    assert sample.secret not in clean
    assert sample.secret[-8:] not in clean
    assert "****" in clean
    assert mask.text(sample.near) == sample.near


@_samples
def test_a_secret_between_colours_is_masked_as_well(sample: Sample) -> None:
    coloured = "".join(f"\x1b[3{at % 8}m{char}" for at, char in enumerate(sample.line))
    clean = mask.text(coloured)
    letters = clean.split("m")
    shown = "".join(part[:1] for part in letters[1:])
    assert sample.secret[-8:] not in shown
    assert "****" in clean


@_samples
def test_a_secret_in_any_two_chunks_with_a_pause_between_is_masked(sample: Sample) -> None:
    data = f"{sample.line}\n".encode()
    told_by_what_follows = sample.kind == "chpasswd"  # a pause in front of it comes too early
    for cut in () if told_by_what_follows else range(1, len(data)):
        redactor = Redactor()
        first = redactor.feed(data[:cut]) + redactor.settle()
        out = first + redactor.feed(data[cut:]) + redactor.flush()
        assert sample.secret.encode() not in out, cut
        assert sample.secret[-12:].encode() not in out, cut
    for cut in range(1, len(data), 7):
        redactor = Redactor()
        pieces = [redactor.feed(data[at : at + cut]) for at in range(0, len(data), cut)]
        assert b"".join(pieces) + redactor.flush() == f"{mask.text(sample.line)}\n".encode()


@pytest.mark.parametrize(
    "pattern",
    [
        "{}",
        "    n.x: {}",
        "'{}'",
        "+ echo '{}'",
        " 12\t{}",
        "\x1b[32m{}\x1b[0m",
        '"{}\\n"',
        "> {}\r",
    ],
)
def test_a_private_key_is_masked_whatever_stands_round_its_lines(pattern: str) -> None:
    lines = [_BEGIN, *_KEY, _END, "and on it goes"]
    clean = mask.text("\n".join(pattern.format(line) for line in lines))
    assert not [line for line in _KEY if line[:6] in clean or line[-6:] in clean]
    assert clean.count("and on it goes") == 1


def test_a_certificate_and_a_public_key_are_shown() -> None:
    lines = [
        *("-----BEGIN CERTIFICATE-----", *_KEY, "-----END CERTIFICATE-----"),
        *("-----BEGIN PUBLIC KEY-----", *_KEY, "-----END PUBLIC KEY-----"),
        "ssh-ed25519 " + _KEY[0],
    ]
    text = "\n".join(lines)
    assert mask.text(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "passwd: password updated successfully",
        "chage: password expiry information changed.",
        "passwd: all authentication tokens updated successfully.",
        "Setting up passwd (1:4.13+dfsg1-1+b1) ...",
        "Unpacking libsecret-1-0:amd64 (0.20.5-3) ...",
        "debconf: password for root not set",
        "password    requisite     pam_pwquality.so retry=3",
        "Get:7 http://deb.debian.org:80/debian bookworm/main amd64 libpam0g [93.3 kB]",
        "sshd_config: PasswordAuthentication no",
        "Generating RSA private key, 2048 bit long modulus",
        "secret/db-credentials created",
        "max_tokens=4096 and tokens: 12",
        "sha256:" + "0123456789abcdef" * 4,
        "commit 0123456789abcdef0123456789abcdef01234567",
        "uuid 5a39290c-9231-4906-857f-ded12ba7e77f",
        "==> xenserver-iso.x: Typing boot command...",
        "Created symlink /etc/systemd/system/x.service -> /lib/systemd/system/x.service.",
    ],
)
def test_an_ordinary_line_of_a_build_stays_as_it_is(line: str) -> None:
    assert mask.text(line) == line


@pytest.mark.parametrize("name", names())
def test_of_a_real_build_only_sessions_are_masked(name: str) -> None:
    data = recorded(name)
    redactor = Redactor()
    out = redactor.feed(data) + redactor.flush()
    assert redactor.count == data.count(b"session_id=")
    assert out.count(b"****") - data.count(b"****") == redactor.count
