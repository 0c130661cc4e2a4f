from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest

from asyncpipe.cli.build import build
from asyncpipe.cli.main import asyncpipe
from asyncpipe.cli.options.values import (
    parse_duration,
    parse_size,
    parse_variable,
    shown_duration,
    shown_size,
)
from asyncpipe.errors import UsageError
from asyncpipe.model.store import LockMode, StoreProfile
from asyncpipe.settings import Settings

Resolve = Callable[..., Settings]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Settings of ``asyncpipe build`` with these words and variables, through the real parser."""
    for name in list(os.environ):
        if name.startswith("ASYNCPIPE_") or name in {"GITHUB_ACTIONS", "PACKER"}:
            monkeypatch.delenv(name)

    def settings_of(*words: str, **variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        context = build.make_context("build", list(words))
        return Settings.of(context.params, environment=dict(os.environ))

    return settings_of


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


@pytest.mark.parametrize("size_bytes", [1, 1000, 16 << 20, 128 << 20, 3 << 29, 4 << 30])
def test_a_size_in_help_is_one_that_can_be_typed(size_bytes: int) -> None:
    assert parse_size(shown_size(size_bytes)) == size_bytes


@pytest.mark.parametrize("duration_s", [0.5, 4.0, 90.0, 120.0, 7200.0, 86400.0])
def test_a_duration_in_help_is_one_that_can_be_typed(duration_s: float) -> None:
    assert parse_duration(shown_duration(duration_s)) == duration_s


def test_an_option_wins_over_the_environment_which_wins_over_the_default(resolve: Resolve) -> None:
    variables = {"ASYNCPIPE_DESTINATION": "s3://bucket/x", "ASYNCPIPE_JOBS": "4"}
    settings = resolve("--jobs", "2", **variables)
    assert (settings.destination, settings.jobs, settings.retries) == ("s3://bucket/x", 2, 0)


def test_without_options_and_variables_every_default_is_that_of_the_settings(
    resolve: Resolve,
) -> None:
    settings = resolve()
    plain = Settings()
    assert settings.transfer == plain.transfer
    differing = {
        one.name
        for one in fields(Settings)
        if getattr(settings, one.name) != getattr(plain, one.name)
    }
    assert differing == {"environment", "store", "host_trust"}  # the home decides on the last
    assert replace(settings.store, max_connections=plain.store.max_connections) == plain.store


def test_an_empty_input_of_the_action_means_the_default(resolve: Resolve) -> None:
    settings = resolve(ASYNCPIPE_JOBS="", ASYNCPIPE_STRICT_IDENTITY=" ", ASYNCPIPE_TEMPLATES=" ")
    assert (settings.jobs, settings.strict_identity, settings.templates) == (1, False, ())


def test_a_value_that_cannot_be_read_names_its_option_and_variable(resolve: Resolve) -> None:
    with pytest.raises(click.UsageError) as caught:
        resolve(ASYNCPIPE_GRACE="soon")
    assert "'--grace' (env var: 'ASYNCPIPE_GRACE'): 'soon' is not a duration" in (
        caught.value.format_message()
    )


def test_lists_of_the_action_may_stand_on_lines(resolve: Resolve) -> None:
    settings = resolve(
        ASYNCPIPE_TEMPLATES="templates/a\ntemplates/b 'templates/c d'",
        ASYNCPIPE_VAR_FILES="one.pkrvars.hcl two.pkrvars.hcl",
        ASYNCPIPE_VARIABLES="greeting=hello world\nsize=3",
        ASYNCPIPE_ONLY="debian-*\nrocky-9",
    )
    assert settings.templates == ("templates/a", "templates/b", "templates/c d")
    assert settings.var_files == (Path("one.pkrvars.hcl"), Path("two.pkrvars.hcl"))
    assert settings.variables == {"greeting": "hello world", "size": "3"}
    assert settings.only == ("debian-*", "rocky-9")


def test_on_github_the_grace_fits_into_what_the_runner_gives(resolve: Resolve) -> None:
    assert resolve().grace_s == 120.0
    assert resolve(GITHUB_ACTIONS="true").grace_s < 7.5


def test_packer_is_named_by_our_variable_or_by_its_own(resolve: Resolve) -> None:
    assert resolve(PACKER="/opt/packer").packer == "/opt/packer"
    assert resolve(ASYNCPIPE_PACKER="/usr/bin/packer").packer == "/usr/bin/packer"


def test_the_webhook_is_a_secret_and_shows_in_no_representation(resolve: Resolve) -> None:
    settings = resolve(ASYNCPIPE_WEBHOOK_URL="https://chat.example/T0K3N")
    assert settings.webhook_url is not None
    assert "T0K3N" not in repr(replace(settings, environment={}))


def test_a_variable_without_a_value_is_refused() -> None:
    assert parse_variable("a=b=c") == ("a", "b=c")
    with pytest.raises(UsageError, match="no value"):
        parse_variable("a")


def test_options_of_the_store_come_from_options_and_environment_alike(resolve: Resolve) -> None:
    store = resolve(
        "--object-lock",
        "governance",
        "--object-lock-until",
        "2027-12-31T00:00:00Z",
        ASYNCPIPE_S3_PROFILE="Ceph",
        ASYNCPIPE_S3_TAGS="team=images\nstage=prod",
    ).store
    assert store.profile is StoreProfile.CEPH
    assert store.tags == {"team": "images", "stage": "prod"}
    assert store.lock_mode is LockMode.GOVERNANCE
    assert store.lock_until_utc == "2027-12-31T00:00:00Z"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--s3-profile", "s4"], "'s4' is not one of 'auto', 'aws'"),
        (["--sse", "rot13"], "'--sse' (env var: 'ASYNCPIPE_SSE'): 'rot13' is not one of"),
        (["--os-version", "../.."], "'../..' is not a version"),
        (["--os-version", "1\n2"], "is not a version"),
        (["--os-version", "-"], "is not a version"),
        (["--object-lock-until", "tomorrow"], "is not a moment in UTC"),
        (["--object-lock-until", "2027-12-31T00:00:00"], "is not a moment in UTC"),
    ],
)
def test_what_an_option_cannot_be_is_refused(
    resolve: Resolve, words: list[str], message: str
) -> None:
    with pytest.raises(click.UsageError) as caught:
        resolve(*words)
    assert message in caught.value.format_message()


@pytest.mark.parametrize(
    ("name", "value"), [("ONLY", "'a"), ("JOBS", "\u00b2"), ("LOG_FORMAT", "jsno"), ("JOBS", "0")]
)
def test_whatever_stands_in_a_variable_is_refused_with_its_name(
    resolve: Resolve, name: str, value: str
) -> None:
    with pytest.raises(click.UsageError) as caught:
        resolve(**{f"ASYNCPIPE_{name}": value})
    assert f"ASYNCPIPE_{name}" in caught.value.format_message()


@pytest.mark.parametrize("version", ["12", "24.04", "bookworm", "15 SP6", ""])
def test_a_version_is_what_vendors_write(resolve: Resolve, version: str) -> None:
    assert resolve("--os-version", version).os_version == version


@pytest.mark.parametrize(
    "words", [["--object-lock", "governance"], ["--object-lock-until", "2027-12-31T00:00:00Z"]]
)
def test_half_a_lock_is_refused(resolve: Resolve, words: list[str]) -> None:
    with pytest.raises(UsageError, match="object-lock"):
        resolve(*words)


@pytest.mark.parametrize("old", ["--only-source", "--except-source"])
def test_an_option_of_a_former_version_is_refused_with_its_new_name(
    resolve: Resolve, old: str
) -> None:
    with pytest.raises(click.UsageError, match=f"{old} is now called --(only|except)"):
        resolve(old, "x")


def test_a_variable_of_a_former_version_is_not_ignored(resolve: Resolve) -> None:
    with pytest.raises(click.UsageError, match="ASYNCPIPE_ONLY_UNITS is now called ASYNCPIPE_ONLY"):
        resolve(ASYNCPIPE_ONLY_UNITS="debian-*")


def _commands(command: click.Command, name: str = "") -> Iterator[tuple[str, set[str]]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below
            yield from _commands(below, f"{name} {word}".strip())
    else:
        yield name, {str(parameter.name) for parameter in command.params}


def test_every_command_with_a_destination_takes_the_options_of_the_store() -> None:
    store = {"profile", "endpoint_url", "addressing", "ca_bundle"}
    with_destination = {name: has for name, has in _commands(asyncpipe) if "destination" in has}
    assert len(with_destination) > 10
    assert {name: store - has for name, has in with_destination.items() if store - has} == {}
