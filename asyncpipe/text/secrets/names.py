"""Which names say that a value is secret, and which environment is kept from Packer."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Final

_SECRET_NAME: Final = re.compile(
    r"PASSW|PASS_?PHRASE|PASS_?CODE|SECRET|TOKEN|CREDENTIAL|CREDS|BEARER|COOKIE|SESSION_?ID|VAULT_ID"
    r"|(?:API|ACCESS|ACCOUNT|PRIVATE|SIGNING|ENCRYPTION|LICENSE|PRODUCT|SHARED|MASTER|DEPLOY|SSH|CLIENT)"
    r"_?KEY(?!_?ID)|BIND_?PW|ROOT_?PW|JOIN_?PW|CONN(?:ECTION)?_?STR(?:ING)?|WEB_?HOOK|ACTIVATION_?KEY"
    r"|SSHPASS|DOCKER_AUTH|NETRC|REG_?CODE"
    r"|(?:^|_)(?:PASS|PASSES|PAT|PW|PWD|KEY|AUTH|PSK|DSN|PIN|SAS|OTP)(?:_?\d+)?$",
    re.IGNORECASE,
)
_PLAIN_NAME: Final = re.compile(
    r"^(?:OLD)?PWD$|(?:^|_)PUB(?:LIC)?_|PUBLIC_?KEY|KEY_?(?:NAME|ID)$|_(?:NAME|POLICY|LENGTH|TTL"
    r"|LIFETIME|TIMEOUT|COUNT|ENABLED|REQUIRED|TYPE)$",
    re.IGNORECASE,
)
_PLACE_NAME: Final = re.compile(
    r"(?:FILE|PATH|DIR|SOCK|CREDENTIALS|KEY|NETRC|CONFIG)$", re.IGNORECASE
)

# Kept from Packer, and so from every script of a template, unless --packer-environment names it:
# keys of our own upload, what lets a process act as the workflow or its user, and inputs of the
# action. GITHUB_* that only say where a run is (repository, ref, run id) stay.
WITHHELD: Final = (
    *("AWS_*", "AMAZON_*", "S3_*", "MINIO_*", "RCLONE_*"),
    *("ACTIONS_*", "INPUT_*", "GH_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"),
    *("GITHUB_TOKEN", "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE"),
    *("GITHUB_STEP_SUMMARY", "CI_JOB_TOKEN", "CI_JOB_JWT*", "CI_REGISTRY_PASSWORD"),
    "ASYNCPIPE_*",
)  # fmt: skip


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name usually holds a secret."""
    return _SECRET_NAME.search(name) is not None and _PLAIN_NAME.search(name) is None


def names_a_place(name: str, value: str) -> bool:
    """Whether the variable says where a secret is, not what it is."""
    return _PLACE_NAME.search(name) is not None and value.startswith(("/", "~", "."))


def is_withheld(name: str, allowed: Sequence[str] = ()) -> bool:
    """Whether a variable of our environment is kept from Packer."""
    return matches_any(name, WITHHELD) and not matches_any(name, allowed)


def passed_on(environment: Mapping[str, str], allowed: Sequence[str] = ()) -> dict[str, str]:
    """Return the variables that Packer inherits."""
    return {name: value for name, value in environment.items() if not is_withheld(name, allowed)}


def matches_any(name: str, patterns: Sequence[str]) -> bool:
    """Whether ``name`` matches one of the globs; case matters."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
