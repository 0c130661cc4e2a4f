"""One list of names and one of values for all who mask, withhold or publish."""

from __future__ import annotations

import pytest

from asyncpipe.text import mask
from asyncpipe.text.secrets import is_secret_name, is_withheld, passed_on, secrets_of, too_short


@pytest.mark.parametrize(
    "name",
    [
        *("PKR_VAR_winrm_pw", "PKR_VAR_db_pwd", "SSHPASS", "MYSQL_PWD", "LDAP_BINDPW"),
        *("DOCKER_AUTH_CONFIG", "PKR_VAR_rootpw", "wifi_psk", "AD_CREDS", "join_pwd"),
        *("DB_CONNECTION_STRING", "SLACK_WEBHOOK_URL", "remote_password", "API_KEY", "GH_PAT"),
        *("client_secret", "ssh_private_key", "auth_token", "SESSION_ID", "license_key"),
    ],
)
def test_a_telling_name_is_secret_everywhere(name: str) -> None:
    assert is_secret_name(name)
    assert mask.text("it is sesame-77", secrets_of({name: "sesame-77"}, {})) == "it is ****"


@pytest.mark.parametrize(
    "name",
    [
        *("PWD", "OLDPWD", "HOME", "os_version", "ssh_username", "keyboard", "monkey", "path"),
        *("ssh_public_key", "AWS_ACCESS_KEY_ID_COUNT", "passenger", "key_name", "disk_size"),
        *("password_policy", "compass", "author", "token_ttl", "SSH_KEY_NAME"),
    ],
)
def test_a_name_that_only_looks_alike_is_not(name: str) -> None:
    assert not is_secret_name(name)


def test_packer_inherits_neither_our_keys_nor_the_workflows_but_what_is_named() -> None:
    ours = "AWS_SECRET_ACCESS_KEY AWS_SECURITY_TOKEN AWS_PROFILE GH_TOKEN GITHUB_TOKEN INPUT_TOKEN"
    other = "AWS_CONTAINER_CREDENTIALS_FULL_URI ACTIONS_RUNTIME_TOKEN ASYNCPIPE_HOST_PASSWORD"
    plain = "PATH HOME GITHUB_SHA PKR_VAR_x HTTPS_PROXY PACKER_LOG"
    environment = dict.fromkeys(f"{ours} {other} {plain}".split(), "x")
    kept = {"PATH", "HOME", "GITHUB_SHA", "PKR_VAR_x", "HTTPS_PROXY", "PACKER_LOG"}
    assert set(passed_on(environment)) == kept
    assert set(passed_on(environment, ["AWS_P*"])) == kept | {"AWS_PROFILE"}
    assert is_withheld("AWS_ROLE_ARN")


def test_a_value_that_would_shred_the_log_is_named_and_left_alone() -> None:
    sensitive = {
        "pin": "42",
        "user": "root",
        "good": "hunter2-x",
        "empty": "",
        "two": "ab\nlong-one",
    }
    assert too_short(sensitive) == ("pin", "user")
    secrets = secrets_of({}, sensitive)
    assert mask.text("42 packages for root", secrets) == "42 packages for root"
