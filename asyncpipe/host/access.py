"""Who logs in where: from a template's own settings, or from ``ASYNCPIPE_HOST*`` (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from asyncpipe.errors import UsageError
from asyncpipe.model.host import HostAccess
from asyncpipe.model.run import Trust
from asyncpipe.model.template import Template, Value

DEFAULT_USERNAME = "root"


def access_of_template(template: Template, trust: Trust) -> HostAccess | None:
    """The host that a build of ``template`` will use, with the credentials that Packer gets.

    None when the template is for another builder, or when host, user or password are not known.
    """
    for source in template.sources:
        if not source.type.startswith("xenserver"):
            continue
        found = [_text(source.attributes.get(f"remote_{name}")) for name in _NAMES]
        if all(found):
            address, username, password = found
            return HostAccess(
                address=address,
                username=username,
                password=password,
                trust=trust,
                ssh_port=_port(source.attributes.get("remote_ssh_port")),
            )
    return None


def access_of_environment(
    environment: Mapping[str, str],
    trust: Trust,
    *,
    address: str | None = None,
    username: str | None = None,
) -> HostAccess:
    """The host of ``address``, or of ``ASYNCPIPE_HOST``; the ``PKR_VAR_remote_*`` serve too.

    Raises:
        UsageError: no host, or no password.
    """
    where = address or _first(environment, "ASYNCPIPE_HOST", "PKR_VAR_remote_host")
    if not where:
        raise UsageError("No host is named.", hint="--host NAME, or ASYNCPIPE_HOST.")
    password = _first(environment, "ASYNCPIPE_HOST_PASSWORD", "PKR_VAR_remote_password")
    if not password:
        raise UsageError(
            "The host's password is missing.",
            hint="Export ASYNCPIPE_HOST_PASSWORD (and ASYNCPIPE_HOST_USER if it is not root).",
        )
    user = username or _first(environment, "ASYNCPIPE_HOST_USER", "PKR_VAR_remote_username")
    return HostAccess(
        address=where, username=user or DEFAULT_USERNAME, password=password, trust=trust
    )


_NAMES = ("host", "username", "password")


def _text(value: Value) -> str:
    return value.strip("\n") if isinstance(value, str) else ""


def _port(value: Value) -> int:
    digits = str(value)
    return int(digits) if digits.isdecimal() and 0 < int(digits) < 65536 else 22


def _first(environment: Mapping[str, str], *names: str) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")
