from __future__ import annotations

import json
from pathlib import Path

import pytest

from asyncpipe.errors import UsageError
from asyncpipe.host.access import access_of_environment, access_of_template
from asyncpipe.host.endpoint import endpoint_of
from asyncpipe.model.run import Trust
from asyncpipe.model.template import Template
from asyncpipe.template import load

SOURCE = """
variable "remote_password" {
  type      = string
  sensitive = true
}
source "%s" "x" {
  remote_host     = "pool.example:8443"
  remote_username = "root"
  remote_password = var.remote_password
  remote_ssh_port = 2222
}
build { sources = ["source.%s.x"] }
"""


def template(folder: Path, builder: str, environment: dict[str, str]) -> Template:
    path = folder / "x.pkr.hcl"
    path.write_text(SOURCE % (builder, builder), encoding="utf-8")
    return load(path, environment=environment)


def test_a_template_names_the_host_and_packers_credentials(tmp_path: Path) -> None:
    found = template(tmp_path, "xenserver-iso", {"PKR_VAR_remote_password": "s3cret-word"})
    access = access_of_template(found, Trust())
    assert access is not None
    assert (access.address, access.username, access.password, access.ssh_port) == (
        "pool.example:8443",
        "root",
        "s3cret-word",
        2222,
    )
    assert "s3cret-word" not in repr(access)


def test_a_template_of_another_builder_has_no_host(tmp_path: Path) -> None:
    found = template(tmp_path, "qemu", {"PKR_VAR_remote_password": "s3cret-word"})
    assert access_of_template(found, Trust()) is None


def test_without_a_password_there_is_no_access(tmp_path: Path) -> None:
    assert access_of_template(template(tmp_path, "xenserver-iso", {}), Trust()) is None


def test_the_environment_names_a_host_of_its_own_first() -> None:
    environment = {
        "ASYNCPIPE_HOST": "one",
        "ASYNCPIPE_HOST_PASSWORD": "first-word",
        "PKR_VAR_remote_host": "two",
        "PKR_VAR_remote_username": "builder",
        "PKR_VAR_remote_password": "second-word",
    }
    access = access_of_environment(environment, Trust())
    assert (access.address, access.username, access.password) == ("one", "builder", "first-word")
    assert access_of_environment(environment, Trust(), address="three").address == "three"


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, "No host is named"), ({"ASYNCPIPE_HOST": "one"}, "password is missing")],
)
def test_what_is_missing_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        access_of_environment(environment, Trust())


@pytest.mark.parametrize(
    ("text", "shown", "key"),
    [
        ("pool.example", "pool.example", "pool.example:443"),
        ("pool.example:8443", "pool.example:8443", "pool.example:8443"),
        ("https://Pool.example/", "pool.example", "pool.example:443"),
        ("2001:db8::1", "[2001:db8::1]", "2001:db8::1:443"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443", "2001:db8::1:8443"),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, shown: str, key: str) -> None:
    endpoint = endpoint_of(text)
    assert (str(endpoint), endpoint.key) == (shown, key)


@pytest.mark.parametrize(
    "text", ["", "http://pool", "root:hidden-word@pool", "pool:port", "pool/path", "pool:99999999"]
)
def test_what_is_no_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        endpoint_of(text)
    assert "hidden-word" not in json.dumps([caught.value.message, caught.value.hint])
