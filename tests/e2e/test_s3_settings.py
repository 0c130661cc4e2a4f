"""What a person reads and a script gets when S3's settings are wrong, through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Desk
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.stores.certificates import Authority

NO_CREDENTIALS = {
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def standin(authority: Authority) -> Iterator[StandIn]:
    with running_standin(tls=authority.server("127.0.0.1")) as standin:
        yield standin


def with_xva(desk: Desk) -> Desk:
    (desk.folder / "disk.raw").write_bytes(b"x" * (3 << 20))
    made = desk.run("xva", "create", "--name", "x", "--disk", "disk.raw", "-o", "debian-12.xva")
    assert made.code == 0, made.all
    return desk


@pytest.mark.parametrize("command", [["publish", "debian-12.xva"], ["reap"], ["list"]])
def test_without_credentials_a_command_ends_with_2_and_the_names_of_the_variables(
    tmp_path: Path, standin: StandIn, command: list[str]
) -> None:
    desk = Desk(tmp_path, environment={**NO_CREDENTIALS, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1"})
    if "publish" in command:
        with_xva(desk)
    ended = desk.run(*command, "--destination", standin.destination)
    assert ended.code == 2, ended.all
    assert "There are no S3 credentials." in ended.err
    assert "AWS_ACCESS_KEY_ID" in ended.err
    assert "Traceback" not in ended.all


def test_half_of_the_credentials_ends_with_2_and_names_what_is_missing(
    tmp_path: Path, standin: StandIn
) -> None:
    desk = Desk(tmp_path, environment={**NO_CREDENTIALS, "AWS_ACCESS_KEY_ID": "half"})
    ended = desk.run("list", "--destination", standin.destination)
    assert ended.code == 2, ended.all
    assert "AWS_SECRET_ACCESS_KEY" in ended.err


def test_an_authority_of_ones_own_is_named_by_an_option_or_by_variables(
    tmp_path: Path, standin: StandIn, authority: Authority
) -> None:
    desk = with_xva(Desk(tmp_path, environment=dict(standin.environment)))
    publish = ["publish", "debian-12.xva", "--destination", standin.destination]
    refused = desk.run(*publish)
    assert refused.code == 40, refused.all
    assert "is not trusted" in refused.err
    assert "AWS_CA_BUNDLE, or --ca-bundle FILE" in refused.err
    assert standin.requests == []

    ended = desk.run(*publish, "--ca-bundle", str(authority.bundle))
    assert ended.code == 0, ended.all
    assert any(key.endswith("/debian12.xva") for key in standin.objects())
    for name in ("AWS_CA_BUNDLE", "ASYNCPIPE_CA_BUNDLE"):
        desk.environment[name] = str(authority.bundle)
        listed = desk.run("list", "--destination", standin.destination)
        del desk.environment[name]
        assert listed.code == 0, listed.all
        assert "debian12" in listed.out
