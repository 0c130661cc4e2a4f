from __future__ import annotations

from pathlib import Path

import pytest

from asyncpipe.errors import UsageError
from asyncpipe.model.store import LockMode, StoreProfile
from asyncpipe.settings import Settings, parse_duration, parse_size, parse_variable


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("16MiB", 16 << 20), ("4GiB", 4 << 30), ("1.5g", 3 << 29), ("500", 500), ("2MB", 2_000_000)],
)
def test_sizes_are_read_as_people_write_them(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MiB", "-1", "16 apples", "1e3"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert "16MiB" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1h30m", 5400.0), ("250ms", 0.25), ("2d", 172800.0)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "1h nonsense"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


def test_an_option_wins_over_the_environment_which_wins_over_the_default() -> None:
    environment = {"ASYNCPIPE_DESTINATION": "s3://bucket/x", "ASYNCPIPE_JOBS": "4"}
    settings = Settings.from_environ(environment, {"jobs": 2, "destination": None})
    assert (settings.destination, settings.jobs, settings.retries) == ("s3://bucket/x", 2, 0)


def test_an_empty_input_of_the_action_means_the_default() -> None:
    settings = Settings.from_environ({"ASYNCPIPE_JOBS": "", "ASYNCPIPE_STRICT_IDENTITY": " "})
    assert (settings.jobs, settings.strict_identity) == (1, False)


def test_a_value_that_cannot_be_read_names_its_variable() -> None:
    with pytest.raises(UsageError, match="ASYNCPIPE_GRACE"):
        Settings.from_environ({"ASYNCPIPE_GRACE": "soon"})


def test_lists_of_the_action_may_stand_on_lines() -> None:
    settings = Settings.from_environ(
        {
            "ASYNCPIPE_TEMPLATES": "templates/a\ntemplates/b templates/c",
            "ASYNCPIPE_VAR_FILES": "one.pkrvars.hcl two.pkrvars.hcl",
            "ASYNCPIPE_VARIABLES": "greeting=hello world\nsize=3",
        }
    )
    assert settings.templates == ("templates/a", "templates/b", "templates/c")
    assert settings.var_files == (Path("one.pkrvars.hcl"), Path("two.pkrvars.hcl"))
    assert settings.variables == {"greeting": "hello world", "size": "3"}


def test_on_github_the_grace_fits_into_what_the_runner_gives() -> None:
    assert Settings.from_environ({"GITHUB_ACTIONS": "true"}).grace_s < 7.5
    assert Settings.from_environ({}).grace_s == 120.0


def test_the_webhook_is_a_secret_and_shows_in_no_representation() -> None:
    settings = Settings.from_environ({"ASYNCPIPE_WEBHOOK_URL": "https://chat.example/T0K3N"})
    assert settings.webhook_url is not None
    assert "T0K3N" not in repr(settings)


def test_a_variable_without_a_value_is_refused() -> None:
    assert parse_variable("a=b=c") == ("a", "b=c")
    with pytest.raises(UsageError, match="no value"):
        parse_variable("a")


def test_what_the_store_is_told_comes_from_options_and_environment_alike() -> None:
    environment = {"ASYNCPIPE_S3_PROFILE": "Ceph", "ASYNCPIPE_S3_TAGS": "team=images\nstage=prod"}
    options = {"object_lock": "governance", "object_lock_until": "2027-12-31T00:00:00Z"}
    store = Settings.from_environ(environment, options).store
    assert store.profile is StoreProfile.CEPH
    assert store.tags == {"team": "images", "stage": "prod"}
    assert store.lock_mode is LockMode.GOVERNANCE
    assert store.lock_until_utc == "2027-12-31T00:00:00Z"


def test_a_profile_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="none of auto, aws, minio"):
        Settings.from_environ({}, {"s3_profile": "s4"})


@pytest.mark.parametrize(
    ("name", "value"), [("ONLY", "'a"), ("JOBS", "\u00b2"), ("LOG_FORMAT", "jsno"), ("JOBS", "0")]
)
def test_whatever_stands_in_a_variable_is_refused_with_its_name(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"ASYNCPIPE_{name}"):
        Settings.from_environ({f"ASYNCPIPE_{name}": value})


def test_a_value_that_cannot_be_read_names_its_option() -> None:
    with pytest.raises(UsageError, match="--sse: 'rot13' is none of"):
        Settings.from_environ({}, {"sse": "rot13"})


@pytest.mark.parametrize("version", ["12", "24.04", "bookworm", "15 SP6", ""])
def test_a_version_is_what_vendors_write(version: str) -> None:
    assert Settings.from_environ({}, {"os_version": version}).os_version == version


@pytest.mark.parametrize("version", ["../..", "/12", "1\n2", "-"])
def test_what_is_no_version_is_refused_and_not_dropped(version: str) -> None:
    with pytest.raises(UsageError, match=r"--os-version: .* is not a version"):
        Settings.from_environ({}, {"os_version": version})


@pytest.mark.parametrize(
    "options",
    [
        {"object_lock": "governance"},
        {"object_lock_until": "2027-12-31T00:00:00Z"},
        {"object_lock": "governance", "object_lock_until": "tomorrow"},
        {"object_lock": "governance", "object_lock_until": "2027-12-31T00:00:00"},
    ],
)
def test_a_lock_that_would_not_be_set_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="object-lock"):
        Settings.from_environ({}, options)
