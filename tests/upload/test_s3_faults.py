"""The list of faults, end to end: our upload, aioboto3, a strict server that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import ChecksumError, DestinationTakenError, TransientStoreError, UploadError
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import PublishedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import RetryPolicy
from asyncpipe.stores.open import open_store
from tests.s3_standin.faults import (
    Faults,
    Rule,
    answer_late,
    error_in_200,
    flip_byte,
    lose_answer,
    refuse,
    reset_body,
    stall_body,
)
from tests.s3_standin.profiles import PROFILES, Profile
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.upload.helpers import (
    MIB,
    published,
    sha256_hex,
    some_bytes,
    staged_to_be_resumed,
    written,
)

pytestmark = pytest.mark.anyio

COMPLETE = "CompleteMultipartUpload"
BODY = some_bytes(21 * MIB + 17)
OPTIONS = TransferOptions(
    max_memory_bytes=20 * MIB,
    part_size_bytes=5 * MIB,
    stall_timeout_s=1.0,
    abort_timeout_s=10.0,
    retry=RetryPolicy(attempts=5, base_s=0.01, cap_s=0.05),
)


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio: aiohttp runs on nothing else."""
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "image.xva", BODY)


@dataclass(frozen=True, slots=True)
class Case:
    """A server, and the profile that the user says it has."""

    standin: StandIn
    profile: StoreProfile = StoreProfile.AWS
    max_parts: int | None = None

    async def upload(
        self,
        target: Target,
        path: Path,
        options: TransferOptions = OPTIONS,
        *,
        journal_path: Path | None = None,
        resume: bool = False,
    ) -> PublishedObject:
        with anyio.fail_after(60):
            async with self.opened() as store:
                return await published(
                    store, target, path, options, journal_path=journal_path, resume=resume
                )

    def opened(self) -> AbstractAsyncContextManager[ObjectStore]:
        return open_store(
            self.standin.destination,
            environment=self.standin.environment,
            options=StoreOptions(
                profile=self.profile, max_parts=self.max_parts, read_timeout_s=5.0
            ),
        )

    def body(self, target: Target) -> bytes:
        return self.standin.read(f"p/{target.key}")


@pytest.fixture
def case() -> Iterator[Case]:
    with running_standin() as standin:
        yield Case(standin)


def with_faults(case: Case, *rules: Rule) -> None:
    for rule in rules:
        case.standin.faults.add(rule)


@pytest.mark.parametrize(
    "rules",
    [
        [refuse("UploadPart", "SlowDown", times=4)],
        [refuse("UploadPart", "InternalError", times=2, part_number=2)],
        [refuse("UploadPart", "ExpiredToken", times=2)],
        [refuse("UploadPart", "BadDigest", part_number=3)],
        [refuse("UploadPart", "RequestTimeout", times=2)],
        [lose_answer("UploadPart", times=3)],
        [reset_body(times=4)],
        [stall_body(30, part_number=2)],
        [refuse("CreateMultipartUpload", "ServiceUnavailable", times=2)],
        [refuse(COMPLETE, "SlowDown", times=2)],
        [refuse(COMPLETE, "ConditionalRequestConflict")],
        [lose_answer(COMPLETE)],
        [error_in_200(committed=False)],
        [error_in_200(committed=True)],
        [answer_late(COMPLETE, 0.5)],
        [lose_answer("HeadObject", times=2)],
        [lose_answer(COMPLETE), refuse("HeadObject", "ServiceUnavailable", times=3)],
    ],
    ids=lambda rules: "+".join(f"{rule.operation}-{rule.kind}-{rule.code}" for rule in rules),
)
async def test_a_passing_fault_costs_time_and_nothing_else(
    case: Case, target: Target, path: Path, rules: list[Rule]
) -> None:
    with_faults(case, *rules)
    result = await case.upload(target, path)
    assert case.body(target) == BODY
    assert result.digests.sha256_hex == sha256_hex(BODY)
    assert set(result.checks) == {"size", "nonce", "crc64nvme", "create-only"}
    assert not [upload for upload in case.standin.uploads() if upload.key.endswith(target.key)]


async def test_a_repeated_complete_that_knows_no_upload_is_settled_by_the_object(
    target: Target, path: Path
) -> None:
    with running_standin(Faults([lose_answer(COMPLETE)]), profile="minio") as standin:
        case = Case(standin, StoreProfile.MINIO)
        await case.upload(target, path)
        assert case.body(target) == BODY


@pytest.mark.parametrize("operation", ["UploadPart", COMPLETE])
async def test_a_complete_that_hangs_is_settled_by_the_object(
    case: Case, target: Target, path: Path, operation: str
) -> None:
    with_faults(case, answer_late(operation, 20))
    await case.upload(target, path, replace(OPTIONS, complete_timeout_s=0.7))
    assert case.body(target) == BODY


@pytest.mark.parametrize("part_number", [1, 3, 5])
async def test_a_byte_changed_behind_the_checksum_fails_with_41_and_nothing_is_visible(
    case: Case, target: Target, path: Path, part_number: int
) -> None:
    with_faults(case, flip_byte(part_number))
    with pytest.raises(ChecksumError) as caught:
        await case.upload(target, path)
    assert caught.value.exit_code == 41
    assert not case.standin.objects()
    assert not case.standin.uploads()


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (refuse("UploadPart", "SlowDown", times=1000), TransientStoreError),
        (refuse("UploadPart", "BadDigest", times=2, part_number=2), ChecksumError),
        (refuse("UploadPart", "AccessDenied"), UploadError),
        (refuse(COMPLETE, "AccessDenied"), UploadError),
        (refuse(COMPLETE, "BadDigest"), ChecksumError),
        (refuse(COMPLETE, "ConditionalRequestConflict", times=9), UploadError),
        (refuse("UploadPart", "RequestTimeTooSkewed", times=99), UploadError),
        (reset_body(times=1000), TransientStoreError),
    ],
    ids=lambda value: f"{value.operation}-{value.code}" if isinstance(value, Rule) else "",
)
async def test_a_lasting_fault_leaves_nothing_behind(
    case: Case, target: Target, path: Path, rule: Rule, error: type[UploadError]
) -> None:
    with_faults(case, replace(rule))
    with pytest.raises(error):
        await case.upload(target, path)
    assert not case.standin.objects()
    assert not case.standin.uploads()


async def test_a_small_file_is_looked_for_once_where_the_store_itself_refuses(
    case: Case, target: Target, tmp_path: Path
) -> None:
    small = written(tmp_path / "build.log", b"a few lines")
    await case.upload(target, small)
    assert len(case.standin.seen("HeadObject")) == 1, "after it was stored"
    with pytest.raises(DestinationTakenError):
        await case.upload(target, written(tmp_path / "other.log", b"other lines"))
    assert case.body(target) == b"a few lines"


@pytest.mark.parametrize("size_bytes", [1000, len(BODY)])
async def test_an_object_that_stands_there_is_not_replaced(
    case: Case, target: Target, tmp_path: Path, size_bytes: int
) -> None:
    first = written(tmp_path / "first", BODY[:size_bytes])
    await case.upload(target, first)
    with pytest.raises(DestinationTakenError):
        await case.upload(target, written(tmp_path / "second", BODY[1:size_bytes]))
    assert case.body(target) == BODY[:size_bytes]
    assert not case.standin.uploads()


@pytest.mark.parametrize(
    ("server", "profile", "checks"),
    [
        ("minio", StoreProfile.MINIO, {"size", "nonce", "crc64nvme", "create-only"}),
        ("ceph", StoreProfile.CEPH, {"size", "nonce", "md5-parts", "etag-md5"}),
        ("composite", StoreProfile.GARAGE, {"size", "nonce", "sha256-parts"}),
        ("little", StoreProfile.GENERIC, {"size", "nonce", "read-back"}),
        ("random-etags", StoreProfile.AWS, {"size", "nonce", "crc64nvme", "create-only"}),
    ],
)
@pytest.mark.parametrize("resumed", [False, True])
async def test_what_each_server_verified_is_what_is_told(
    target: Target,
    path: Path,
    tmp_path: Path,
    server: str,
    profile: StoreProfile,
    checks: set[str],
    resumed: bool,
) -> None:
    journal = tmp_path / "upload.json"
    with running_standin(profile=server) as standin:
        case = Case(standin, profile)
        if resumed:
            await interrupted(case, target, path, journal)
        result = await case.upload(target, path, journal_path=journal, resume=True)
        assert case.body(target) == BODY
        assert set(result.checks) == checks
        assert bool(result.resumed_bytes) == resumed


async def interrupted(case: Case, target: Target, path: Path, journal: Path) -> None:
    """Leave an upload whose last part never arrives."""
    with_faults(case, refuse("UploadPart", "InternalError", times=5, part_number=5))
    async with case.opened() as store:
        with pytest.raises(TransientStoreError):
            await staged_to_be_resumed(store, target, path, OPTIONS, journal)


async def test_a_store_of_few_parts_gets_larger_parts(target: Target, path: Path) -> None:
    few: Profile = replace(PROFILES["1000-parts"], max_parts=3)
    with running_standin(profile=few) as standin:
        case = Case(standin, max_parts=3)
        result = await case.upload(target, path)
        assert result.part_count == 3
        assert case.body(target) == BODY
