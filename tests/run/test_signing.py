"""A run signs what it publishes, or publishes nothing; its key is in nothing that it writes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.cli import main
from asyncpipe.errors import AccessDeniedError, SignatureError, TransientStoreError
from asyncpipe.model.documents.release import Revocation
from asyncpipe.model.events import Warned
from asyncpipe.model.publication import Failed, Published
from asyncpipe.model.template import TemplateSource
from asyncpipe.provenance.keys import SigningKey
from asyncpipe.provenance.signer import KeySigner
from asyncpipe.provenance.verify import Trust, Verified, verified_version
from asyncpipe.run.origin.parent import parent_named_by
from asyncpipe.run.pipeline import process_template, publish_built
from asyncpipe.run.state import Built
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.processes import Script
from tests.catalog.published import OLD, publish
from tests.metadata import documents as make
from tests.provenance.signed import image, publish_signed
from tests.run.services import TIMESTAMP, Bench, guest_says, leaves, plan_in, xva_bytes
from tests.run.test_publish import at_put, cancelled_at, without_hook

pytestmark = pytest.mark.anyio

PLACE = f"templates/debian12/{TIMESTAMP}"
STATEMENT = f"{PLACE}/provenance.dsse.json"
KEY = SigningKey.new()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    script = Script(
        output=((0.0, guest_says("debian", "12")),),
        on_exit=leaves("demo.xva", xva_bytes(tmp_path, 12 << 20)),
    )
    return Bench(tmp_path, (script,), signer=KeySigner(KEY))


async def run(bench: Bench, tmp_path: Path, **changes: Any) -> Published | Failed:
    with anyio.fail_after(60):
        return await process_template(plan_in(tmp_path, **changes), bench.workshop())


async def verified(bench: Bench) -> Verified:
    entry = await catalog.resolve(bench.store, "debian12")
    assert entry.provenance is not None
    return await verified_version(bench.store, entry, Trust(keys=(KEY.public,)))


async def test_a_build_is_signed_with_the_files_it_was_made_of(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "clean.sh").write_text("sync\n")
    plan = plan_in(tmp_path)
    template = replace(plan.template, referenced_files=(Path("clean.sh"), Path("absent.sh")))
    assert isinstance(await run(bench, tmp_path, template=template), Published)
    assert STATEMENT in bench.visible()
    statement = json.loads((await verified(bench)).statement)
    found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    (script,) = [one for one in found if one["name"] == "clean.sh"]
    assert script["digest"]["sha256"] == hashlib.sha256(b"sync\n").hexdigest()
    document = json.loads(bench.store.objects[f"{PLACE}/metadata.json"].body)
    assert document["build"]["materials"][0] == {"path": "absent.sh", "sha256_hex": None}
    assert document["provenance"]["signer"] == f"ed25519:{KEY.public.id_hex}"


async def test_what_cannot_be_signed_is_not_published(bench: Bench, tmp_path: Path) -> None:
    class Broken(KeySigner):
        async def sign(self, statement: bytes) -> bytes:
            raise SignatureError("No identity any more.")

    bench.signer = Broken(KEY)
    outcome = await run(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 44
    assert not {key for key in bench.visible() if key.startswith(PLACE)}
    assert "templates/debian12/latest.json" not in bench.visible()


@pytest.mark.parametrize("committed", [True, False])
async def test_a_signature_fits_although_the_run_was_cut_off_at_its_metadata(
    bench: Bench, tmp_path: Path, committed: bool
) -> None:
    await cancelled_at(bench, tmp_path, "metadata.json", committed=committed)
    assert STATEMENT in bench.visible()
    without_hook(bench)
    built = Built.read(plan_in(tmp_path).run_directory)
    assert built is not None
    # what is composed anew differs from what stands there
    built.draft["run_id"] = "another"
    with anyio.fail_after(60):
        outcome = await publish_built(plan_in(tmp_path), bench.workshop(), built)
    assert isinstance(outcome, Published), outcome
    await verified(bench)


async def test_a_lost_answer_to_the_signature_is_settled(bench: Bench, tmp_path: Path) -> None:
    answers: list[str] = []

    async def lose_one(really_put: Any) -> Any:
        info = await really_put()
        answers.append("stored")
        if len(answers) == 1:
            raise TransientStoreError("The connection was reset.")
        return info

    at_put(bench, "provenance.dsse.json", lose_one)
    assert isinstance(await run(bench, tmp_path), Published)
    await verified(bench)


async def test_a_parent_is_recorded_and_one_that_was_revoked_is_a_warning(
    bench: Bench, tmp_path: Path
) -> None:
    parent = await publish(bench.store, OLD, short_id="debian12-base")
    why = Revocation(reason="bad key", by="me", revoked_utc=None)
    await catalog.revoke(bench.store, parent, why)
    plan = plan_in(tmp_path)
    name = f"debian12-base@{OLD}"
    source = TemplateSource(
        type="xenserver-iso",
        label="demo",
        build_name=None,
        attributes={"clone_template": name},
        locations={},
        location=make.HERE,
    )
    template = replace(plan.template, sources=(source,))
    assert isinstance(await run(bench, tmp_path, template=template), Published)
    document = json.loads(bench.store.objects[f"{PLACE}/metadata.json"].body)
    assert document["parent"] == {"version": name, "sha256_hex": parent.xva.sha256_hex}
    (entry,) = (await catalog.list_versions(bench.store, "debian12")).versions
    assert entry.parent == name
    heard = [one.message for one in bench.events.heard if isinstance(one, Warned)]
    assert any("revoked by me: bad key" in text for text in heard)


@pytest.mark.parametrize(
    ("value", "version"),
    [
        (f"debian12@{OLD}", f"debian12@{OLD}"),
        (
            f"https://s3.example/b/p/templates/debian12/{OLD}/debian12.xva?X-Amz=1",
            f"debian12@{OLD}",
        ),
        (f"../published/templates/debian12-web/{OLD}/debian12-web.xva", f"debian12-web@{OLD}"),
        (f"templates/debian12/{OLD}/build.log", None),
        ("Debian Bookworm 12", None),
        ("/srv/mine.xva", None),
    ],
)
def test_a_parent_is_recognised_by_its_name_on_the_pool_or_its_published_key(
    value: str, version: str | None
) -> None:
    assert parent_named_by(make.template(source_path=value)) == version


def test_a_key_from_the_environment_signs_and_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = KEY.pem().decode().splitlines()[1]
    anyio.run(publish_signed, DirectoryStore(tmp_path / "published"), OLD, KEY)
    monkeypatch.setenv("ASYNCPIPE_SIGNING_KEY", KEY.pem().decode())
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", "published")
    (tmp_path / "debian-12.xva").write_bytes(image())
    (tmp_path / "given.log").write_text(f"cat key\n{KEY.pem().decode()}\nkey={secret}\n")
    (tmp_path / "key.pub").write_bytes(KEY.public.pem)

    arguments = ["publish", "debian-12.xva", "--log", "given.log", "--report", "report.json"]
    assert main.run([*arguments, "--parent", "debian12"]) == 0
    assert main.run(["verify", "debian12", "--signature", "--key", "key.pub"]) == 0
    captured = capsys.readouterr()
    (reported,) = json.loads((tmp_path / "report.json").read_text())["templates"]
    assert reported["files"]["provenance"]["url"] in captured.out
    assert main.run(["show", "debian12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"]["parent"]["version"] == f"debian12@{OLD}"

    assert secret not in captured.out + captured.err
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "given.log":
            assert secret.encode() not in path.read_bytes(), path


def test_a_key_that_cannot_sign_ends_the_command_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", "published")
    (tmp_path / "debian-12.xva").write_bytes(image())
    (tmp_path / "public.pem").write_bytes(KEY.public.pem)
    (tmp_path / "text.pem").write_text("not a key")
    for name, words in (("public.pem", "public key"), ("text.pem", "no private key")):
        assert main.run(["publish", "debian-12.xva", "--signing-key", name]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "published").exists()


@pytest.mark.parametrize("name", ["metadata.json", "provenance.dsse.json"])
async def test_a_refused_write_leaves_no_signature_without_its_version(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    async def refuse(really_put: Any) -> None:
        raise AccessDeniedError("No.")

    at_put(bench, name, refuse)
    outcome = await run(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 42
    assert not {key for key in bench.visible() if key.startswith(PLACE)}
