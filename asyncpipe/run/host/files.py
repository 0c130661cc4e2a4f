"""Files here that belong to a VM there: the ISO it was installed from, the login of one kept."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Final

from asyncpipe.model.build import BuildPlan, IsoSource

LOGIN_NAME: Final = "login.json"
_READ_BYTES: Final = 1 << 20


def write_login(plan: BuildPlan) -> str:
    """Write the guest's login for the owner alone; returns where it is. Blocks."""
    password = plan.packer_environment.get("PKR_VAR_build_password", "")
    user = next((one.attributes.get("ssh_username") for one in plan.template.sources), None)
    if not password or not isinstance(user, str):
        return ""
    path = plan.run_directory / LOGIN_NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"user": user, "password": password}, file)
    except OSError:
        return f"Login: {user}, its password could not be written down."
    return f"Login: {user}, its password is in {path}."


def with_digest(iso: IsoSource) -> IsoSource:
    """Add size and SHA-256 of the file; unchanged when it cannot be read. Blocks."""
    sha256, size_bytes = hashlib.sha256(), 0
    try:
        with Path(iso.path).open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return iso
            while piece := file.read(_READ_BYTES):
                sha256.update(piece)
                size_bytes += len(piece)
    except OSError:
        return iso
    return replace(iso, sha256_hex=sha256.hexdigest(), size_bytes=size_bytes)
