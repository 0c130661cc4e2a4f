"""What is signed is refused once a bit of it changed, and the part that is wrong is named."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.cli import main
from asyncpipe.errors import SignatureError
from asyncpipe.provenance.keys import SigningKey, read_signing_key
from asyncpipe.provenance.verify import Trust, verified_version
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import NEW, OLD, publish
from tests.provenance.signed import flipped, publish_signed

KEY = SigningKey.new()
FOLDER = f"templates/debian12/{NEW}"
SIGNED = ("--require-signature", "--key", "asyncpipe.key.pub")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two signed versions; the key that `key new` made is beside it."""
    folder = tmp_path / "published"
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(folder))
    monkeypatch.chdir(tmp_path)
    assert main.run(["key", "new"]) == 0
    key = read_signing_key((tmp_path / "asyncpipe.key").read_bytes(), origin="asyncpipe.key")

    async def fill() -> None:
        store = DirectoryStore(folder)
        for timestamp in (OLD, NEW):
            await publish_signed(store, timestamp, key)

    anyio.run(fill)
    return folder


def _say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_signed_version_is_fetched_and_verified(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = _say(capsys, "pull", "debian12", *SIGNED, "--json")
    assert code == 0, text
    pulled = json.loads(text)
    assert pulled["verified"] == ["size", "sha256", "xva", "signature"]
    assert (tmp_path / "debian12.xva").read_bytes() == (
        shelf / FOLDER / "debian12.xva"
    ).read_bytes()

    code, text = _say(capsys, "verify", "debian12", "--signature", *SIGNED[1:], "--json")
    assert code == 0, text
    document = json.loads(text)
    assert document["statement"]["predicateType"] == "https://slsa.dev/provenance/v1"
    assert document["signer"] == pulled["signer"]
    assert (tmp_path / "asyncpipe.key").stat().st_mode & 0o777 == 0o600


def _in_payload(body: bytes) -> bytes:
    """Flip a bit of the statement and write the envelope as before."""
    envelope = json.loads(body)
    statement = base64.b64decode(envelope["payload"])
    at_bytes = statement.index(b'"externalParameters"') + 40
    envelope["payload"] = base64.b64encode(flipped(statement, at_bytes)).decode()
    return json.dumps(envelope).encode()


def _in_signature(body: bytes) -> bytes:
    envelope = json.loads(body)
    (signature,) = envelope["signatures"]
    signature["sig"] = base64.b64encode(flipped(base64.b64decode(signature["sig"]), 20)).decode()
    return json.dumps(envelope).encode()


def _in_base64(body: bytes) -> bytes:
    """The last letter of a signature has four bits that say nothing; they have to be zero."""
    envelope = json.loads(body)
    text = envelope["signatures"][0]["sig"]
    envelope["signatures"][0]["sig"] = text[:-3] + chr(ord(text[-3]) + 1) + "=="
    return json.dumps(envelope).encode()


def _in_text(body: bytes) -> bytes:
    """The name of a file that went into the build: metadata.json stays readable."""
    return flipped(body, body.index(b"clean.sh"))


SPOILED: dict[str, tuple[str, Callable[[bytes], bytes], int, str]] = {
    "image": ("debian12.xva", lambda body: flipped(body, len(body) // 2), 41, "The XVA under"),
    "metadata": ("metadata.json", _in_text, 44, "metadata.json of debian12@{} is wrong"),
    "statement": ("provenance.dsse.json", _in_payload, 44, "The statement in"),
    "signature": ("provenance.dsse.json", _in_signature, 44, "The signature"),
    "unused bits": ("provenance.dsse.json", _in_base64, 44, "The signature"),
    "brackets": ("provenance.dsse.json", lambda body: flipped(body, 0), 44, "cannot be read"),
}


@pytest.mark.parametrize("command", ["pull", "verify"])
@pytest.mark.parametrize("part", SPOILED)
def test_a_flipped_bit_is_refused_with_which_part_is_wrong(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, command: str
) -> None:
    name, spoil, code, words = SPOILED[part]
    path = shelf / FOLDER / name
    path.write_bytes(spoil(path.read_bytes()))
    asked = {"pull": SIGNED, "verify": ("--signature", *SIGNED[1:])}[command]

    ended, text = _say(capsys, command, f"debian12@{NEW}", *asked)

    assert ended == code, text
    assert words.format(NEW) in text
    assert not list(tmp_path.glob("*.xva"))
    assert not list(tmp_path.glob(".*.partial"))


def test_another_key_a_missing_signature_and_an_unsigned_version_are_refused(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["key", "new", "-o", "other.key"]) == 0
    code, text = _say(capsys, "pull", "debian12", "--require-signature", "--key", "other.key.pub")
    assert (code, "of another key" in text) == (44, True)
    (shelf / FOLDER / "provenance.dsse.json").unlink()
    code, text = _say(capsys, "pull", "debian12", *SIGNED)
    assert (code, "is not signed" in text) == (44, True)
    assert _say(capsys, "pull", f"debian12@{OLD}", *SIGNED)[0] == 0
    assert len(list(tmp_path.glob("*.xva"))) == 1


@pytest.mark.usefixtures("shelf")
def test_whose_signature_counts_must_be_said_and_must_be_a_public_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = _say(capsys, "pull", "debian12", "--require-signature")
    assert (code, "--key FILE" in text) == (2, True)
    code, text = _say(capsys, "pull", "debian12", "--key", "asyncpipe.key")
    assert (code, "private key" in text) == (2, True)
    (tmp_path / "text.pub").write_text("not a key")
    assert _say(capsys, "pull", "debian12", "--key", "text.pub")[0] == 2
    assert _say(capsys, "pull", "debian12", "--key", "absent.pub")[0] == 2
    code, text = _say(capsys, "verify", "any.xva", "--key", "asyncpipe.key.pub")
    assert (code, "add --signature" in text) == (2, True)
    both = ("--key", "asyncpipe.key.pub", "--identity", "me@example.com")
    assert _say(capsys, "pull", "debian12", *both)[0] == 2


@pytest.mark.usefixtures("shelf")
def test_a_key_is_never_overwritten_and_its_public_half_can_be_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "asyncpipe.key").read_bytes()
    code, text = _say(capsys, "key", "new")
    assert (code, "not overwritten" in text) == (2, True)
    assert (tmp_path / "asyncpipe.key").read_bytes() == before
    shown = _say(capsys, "key", "show", "asyncpipe.key")[1]
    assert (tmp_path / "asyncpipe.key.pub").read_text().strip() in shown
    assert shown == _say(capsys, "key", "show", "asyncpipe.key.pub")[1]
    assert "PRIVATE" not in shown


def test_an_encrypted_key_needs_its_password_and_no_message_shows_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASYNCPIPE_SIGNING_KEY_PASSWORD", "open-sesame-7")
    assert _say(capsys, "key", "new")[0] == 0
    assert b"ENCRYPTED" in (tmp_path / "asyncpipe.key").read_bytes()
    assert _say(capsys, "key", "show", "asyncpipe.key")[0] == 0
    monkeypatch.setenv("ASYNCPIPE_SIGNING_KEY_PASSWORD", "wrong-sesame-7")
    code, text = _say(capsys, "key", "show", "asyncpipe.key")
    assert (code, "password" in text, "sesame" in text) == (2, True, False)


@pytest.mark.usefixtures("shelf")
def test_a_channel_moves_only_to_what_passes_its_gates(
    capsys: pytest.CaptureFixture[str],
) -> None:
    move = ("promote", "debian12", "--channel", "stable")
    code, text = _say(capsys, *move, "--require", "signature")
    assert (code, "--key FILE" in text) == (2, True)
    code, text = _say(capsys, *move, "--require", "boot-test,signature", *SIGNED[1:])
    assert (code, "has no boot test" in text) == (2, True)
    assert _say(capsys, *move, "--require", "smoke-test")[0] == 2
    assert main.run(["key", "new", "-o", "other.key"]) == 0
    assert _say(capsys, *move, "--require", "signature", "--key", "other.key.pub")[0] == 44
    assert "no channels" in _say(capsys, "channel", "list")[1]

    code, text = _say(capsys, *move, "--require", "signature", *SIGNED[1:], "--json")
    assert code == 0, text
    named = json.loads(text)["version"]["provenance"]
    assert named["key"] == f"{FOLDER}/provenance.dsse.json"
    assert len(named["sha256_hex"]) == 64


def test_a_pointer_names_the_envelope_that_it_was_written_for(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another signature of the same key, put in its place, shows to whoever follows a pointer."""
    path = shelf / FOLDER / "provenance.dsse.json"
    path.write_bytes(json.dumps(json.loads(path.read_bytes()), indent=4).encode())
    code, text = _say(capsys, "pull", "debian12", *SIGNED)
    assert (code, "not the one that the pointer names" in text) == (44, True)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_signed_version_cannot_stand_for_another_one() -> None:
    store = MemoryStore()
    await publish_signed(store, OLD, KEY)
    entry = await publish(store, NEW)
    old = f"templates/debian12/{OLD}"
    for name in ("metadata.json", "provenance.dsse.json", "debian12.xva"):
        stored = await store.get(f"{old}/{name}", max_bytes=1 << 30)
        await store.put(f"{FOLDER}/{name}", stored.body, content_type="x/x")
    with pytest.raises(SignatureError, match="about another version"):
        await verified_version(store, entry, Trust(keys=(KEY.public,)))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_byte_of_an_envelope_counts_or_changes_nothing_that_was_signed() -> None:
    store = MemoryStore()
    entry = await publish_signed(store, NEW, KEY)
    assert entry.provenance is not None
    trust = Trust(keys=(KEY.public,))
    good = await verified_version(store, entry, trust)
    by_timestamp = (await catalog.list_versions(store, fresh=True)).versions[0]
    body = (await store.get(entry.provenance.key, max_bytes=1 << 20)).body
    for at_bytes in range(0, len(body), 13):
        spoiled = flipped(body, at_bytes, at_bytes % 7)
        await store.put(entry.provenance.key, spoiled, content_type="x/x")
        with pytest.raises(SignatureError):
            await verified_version(store, entry, trust)
        try:
            found = await verified_version(store, by_timestamp, trust)
        except SignatureError:
            continue
        assert found.statement == good.statement
