"""Credentials that run out in the middle of an upload, through the real S3 adapter."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from asyncpipe.cli import main
from asyncpipe.errors import AccessDeniedError, CredentialsExpiredError, UploadError
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import Keep, PublishedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import RetryPolicy
from asyncpipe.stores.open import open_store
from tests.s3_standin.server import ACCESS_KEY, SECRET_KEY, running_standin
from tests.s3_standin.standin import StandIn
from tests.upload.helpers import MIB, published, some_bytes, written

pytestmark = pytest.mark.anyio

BODY = some_bytes(31 * MIB + 17)
PARTS = {1, 2, 3, 4, 5, 6, 7}
LIVES_FOR = 3  # parts
OPTIONS = TransferOptions(
    max_memory_bytes=20 * MIB,
    part_size_bytes=5 * MIB,
    abort_timeout_s=1.0,
    retry=RetryPolicy(attempts=4, base_s=0.01, cap_s=0.05),
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A server whose token ``old`` runs out after some parts, and a profile file that has it."""

    standin: StandIn
    file: Path
    path: Path
    journal: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.standin.endpoint_url,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.file),
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_PROFILE": "images",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def hand_out(self, token: str) -> None:
        self.file.write_text(
            f"[images]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
            f"aws_session_token = {token}\n"
        )

    def hand_out_nothing(self) -> None:
        self.file.write_text("[images]\n")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ObjectStore]:
        options = StoreOptions(profile=StoreProfile.AWS)
        async with open_store(
            self.standin.destination, environment=self.environment, options=options
        ) as store:
            yield store

    async def upload(
        self, store: ObjectStore, target: Target, keep: Keep = Keep.NEVER, *, resume: bool = False
    ) -> PublishedObject:
        with anyio.fail_after(60):
            return await published(
                store,
                target,
                self.path,
                OPTIONS,
                journal_path=self.journal,
                keep=keep,
                resume=resume,
            )

    def sent_with(self, token: str, *, taken: bool) -> list[int]:
        """Numbers of the parts that went out with a token, taken or refused."""
        return sorted(
            seen.part_number or 0
            for seen in self.standin.seen("UploadPart")
            if seen.headers["x-amz-security-token"] == token and (seen.status == 200) == taken
        )


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with running_standin() as standin:
        standin.token_parts["old"] = LIVES_FOR
        case = Case(
            standin=standin,
            file=tmp_path / "credentials",
            path=written(tmp_path / "image.xva", BODY),
            journal=tmp_path / "upload.json",
        )
        case.hand_out("old")
        yield case


async def test_renewed_credentials_send_the_refused_parts_again_and_the_upload_ends_well(
    case: Case, target: Target
) -> None:
    async with case.opened() as store:
        case.hand_out("new")  # found when the old ones are refused, not before
        result = await case.upload(store, target)
    assert case.standin.read(f"p/{target.key}") == BODY
    assert "crc64nvme" in result.checks
    before = case.sent_with("old", taken=True)
    assert len(before) == LIVES_FOR
    assert case.sent_with("old", taken=False)
    assert sorted([*before, *case.sent_with("new", taken=True)]) == sorted(PARTS)
    assert not case.standin.uploads()


async def test_credentials_that_stay_expired_end_with_42_and_what_was_sent_is_kept(
    case: Case, target: Target
) -> None:
    async with case.opened() as store:
        with pytest.raises(CredentialsExpiredError) as caught:
            await case.upload(store, target, Keep.LOST)
    error = caught.value
    assert error.exit_code == 42
    assert "ExpiredToken" in error.message
    assert "fresh credentials" in error.hint
    assert not case.standin.objects()
    [kept] = case.standin.uploads()
    there = set(case.standin.parts(kept.upload_id))
    assert len(there) == LIVES_FOR
    assert upload_id_in(case.journal) == kept.upload_id

    case.hand_out("new")
    async with case.opened() as store:
        await case.upload(store, target, resume=True)
    assert case.standin.read(f"p/{target.key}") == BODY
    assert set(case.sent_with("new", taken=True)) == PARTS - there


async def test_a_look_that_is_refused_without_a_word_leads_to_the_credentials(case: Case) -> None:
    case.standin.token_parts["old"] = 0
    async with case.opened() as store:
        with pytest.raises(CredentialsExpiredError) as caught:
            await store.head("x.xva")
    assert caught.value.exit_code == 42
    assert "credentials" in caught.value.hint


def upload_id_in(journal: Path) -> str:
    return str(json.loads(journal.read_bytes())["upload_id"])


async def test_an_abort_that_is_refused_too_is_told_with_the_command_that_removes_it(
    case: Case, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with case.opened() as store:
        with pytest.raises(CredentialsExpiredError) as caught:
            await case.upload(store, target)
    [left] = case.standin.uploads()
    assert left.upload_id in caught.value.hint
    assert "ExpiredToken" in caught.value.hint
    [command] = re.findall("`asyncpipe (.*?)`", caught.value.hint)

    case.hand_out("new")
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    assert await to_thread.run_sync(main.run, shlex.split(command)) == 0
    assert "removed: upload" in capsys.readouterr().out
    assert not case.standin.uploads()


@pytest.mark.parametrize("keep", [Keep.NEVER, Keep.LOST])
async def test_credentials_that_are_gone_at_the_renewal_are_an_access_error(
    case: Case, target: Target, keep: Keep
) -> None:
    async with case.opened() as store:
        case.hand_out_nothing()
        with pytest.raises(AccessDeniedError, match="could not be looked up") as caught:
            await case.upload(store, target, keep)
    assert caught.value.exit_code == 42
    assert len(case.standin.uploads()) == 1  # without credentials nothing can be removed
    assert not case.standin.objects()


async def test_credentials_of_a_program_that_fails_at_the_renewal_are_an_access_error(
    case: Case, target: Target, tmp_path: Path
) -> None:
    program = written(tmp_path / "hand-out", b"")
    config = written(tmp_path / "config", b"")
    config.write_text(f"[profile images]\ncredential_process = sh {program}\n")
    answer = {
        "Version": 1,
        "AccessKeyId": ACCESS_KEY,
        "SecretAccessKey": SECRET_KEY,
        "SessionToken": "old",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    program.write_text(f"echo '{json.dumps(answer)}'\n")
    options = StoreOptions(profile=StoreProfile.AWS)
    environment = {
        **case.environment,
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }
    async with open_store(
        case.standin.destination, environment=environment, options=options
    ) as store:
        program.write_text("echo 'log in again' >&2; exit 1\n")
        with pytest.raises(UploadError, match="log in again") as caught:
            await case.upload(store, replace(target, key="other.xva"))
    assert caught.value.exit_code == 42
