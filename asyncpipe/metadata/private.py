"""Where a build logged in, and as whom: the run's own business, never part of what is published."""

from __future__ import annotations

import re
from typing import Final

from asyncpipe.model.template import Template

_SETTINGS: Final = ("remote_host", "remote_username")
_OF_GUEST: Final = ("ssh_username", "winrm_username")  # often the same word, and no secret
_ADDRESS: Final = re.compile(r"\[([^\]]+)\]|([^:/\s]+)")
_INSTEAD: Final = "<host>"


def private_values(template: Template) -> frozenset[str]:
    """Host and user as the template has them, whatever the variables are called."""
    attributes = [source.attributes for source in template.sources]
    private = {one.get(name) for one in attributes for name in _SETTINGS}
    private -= {one.get(name) for one in attributes for name in _OF_GUEST}
    return frozenset(value for value in private if isinstance(value, str) and value)


def without_host(text: str, template: Template) -> str:
    """Take the host's address out of a sentence; the port after it stays."""
    for source in template.sources:
        address = source.attributes.get("remote_host")
        match = _ADDRESS.match(address) if isinstance(address, str) else None
        if match:
            name = re.escape(match[1] or match[2])
            text = re.sub(rf"(?i)(?<![\w.-]){name}(?![\w-]|\.\w)", _INSTEAD, text)
    return text
