"""Signing as an identity: what is missing is said before a build; a bad bundle is refused.

A signature that succeeds needs Fulcio, Rekor and an identity of a CI run: it is not tested here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asyncpipe.cli import main
from asyncpipe.errors import SignatureError, UsageError
from asyncpipe.provenance.keyless import KeylessSigner, opened_bundle
from asyncpipe.provenance.keys import SigningKey
from asyncpipe.provenance.verify import Trust, verified_version
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import NEW, publish
from tests.provenance.signed import image, publish_signed

IDENTITY = "https://github.com/example/templates/.github/workflows/build.yml@refs/heads/main"
CI = ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "GOOGLE_SERVICE_ACCOUNT_NAME")


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CI:
        monkeypatch.delenv(name, raising=False)


def test_without_an_identity_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "debian-12.xva").write_bytes(image())
    arguments = ["publish", "debian-12.xva", "--keyless", "--destination", "published"]
    assert main.run(arguments) == 2
    assert "no identity to sign with" in capsys.readouterr().err
    assert not (tmp_path / "published").exists()
    assert main.run([*arguments, "--signing-key", "any.key"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_a_job_that_may_not_ask_for_an_identity_is_told_the_permission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    with pytest.raises(UsageError) as caught:
        KeylessSigner.ready()
    assert "id-token: write" in caught.value.hint


def test_without_the_package_both_ways_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sigstore", None)
    with pytest.raises(UsageError) as caught:
        KeylessSigner.ready()
    assert "asyncpipe[sigstore]" in caught.value.hint
    with pytest.raises(UsageError, match="not installed"):
        opened_bundle(b"{}", identity=IDENTITY, issuer="https://i", where="here")


def test_a_damaged_bundle_is_refused_without_asking_anybody() -> None:
    with pytest.raises(SignatureError, match="refused by sigstore"):
        opened_bundle(b"{}", identity=IDENTITY, issuer="https://i", where="here")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_version_signed_in_another_way_says_so() -> None:
    store, key = MemoryStore(), SigningKey.new()
    trust = Trust(identity=IDENTITY, issuer="https://i")
    with pytest.raises(SignatureError, match="is not signed"):
        await verified_version(store, await publish(store, NEW), trust)
    entry = await publish_signed(store, NEW, key, short_id="debian13")
    with pytest.raises(SignatureError, match="with a key only"):
        await verified_version(store, entry, trust)
    assert entry.provenance is not None
    await store.put(
        "templates/debian12/" + NEW + "/provenance.sigstore.json", b"{}", content_type="x/x"
    )
    with pytest.raises(SignatureError, match="by an identity only"):
        await verified_version(store, (await publish(store, NEW)), Trust(keys=(key.public,)))
