"""How tests log in to a stand-in."""

from __future__ import annotations

from typing import Any

from asyncpipe.model.host import HostAccess
from asyncpipe.model.run import Trust
from tests.xapi_standin.standin import XapiStandIn


def access_to(xapi: XapiStandIn, **changes: Any) -> HostAccess:
    """Log in as root, trusting the stand-in's authority."""
    fields = {
        "address": xapi.address,
        "username": xapi.username,
        "password": xapi.password,
        "trust": Trust(ca_file=xapi.ca_file),
    }
    return HostAccess(**{**fields, **changes})
