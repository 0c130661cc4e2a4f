"""The NoCloud drive of a test: a one-time key and a host name that nobody else has."""

from __future__ import annotations

import io
import secrets
from pathlib import Path
from typing import Final

from asyncpipe.model.boot.machine import Account

_USER: Final = "asyncpipe-test"
_USER_DATA: Final = """#cloud-config
users:
  - name: {user}
    gecos: boot test
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/sh
    lock_passwd: true
    ssh_authorized_keys:
      - {key}
"""
_META_DATA: Final = "instance-id: {host}\nlocal-hostname: {host}\n"


def new_account() -> Account:
    """Make the account of one test."""
    import asyncssh  # noqa: PLC0415 - of the extra boot-test

    key = asyncssh.generate_private_key("ssh-ed25519", comment=_USER)
    return Account(
        user=_USER,
        host_name=f"boot-{secrets.token_hex(6)}",
        private_key=key.export_private_key().decode(),
        public_key=key.export_public_key().decode().strip(),
    )


def files_of(account: Account) -> dict[str, bytes]:
    """What is on the drive."""
    user_data = _USER_DATA.format(user=account.user, key=account.public_key)
    meta_data = _META_DATA.format(host=account.host_name)
    return {"user-data": user_data.encode(), "meta-data": meta_data.encode()}


def write_seed(path: Path, account: Account) -> None:
    """Write the drive's image: ISO 9660 with Rock Ridge and Joliet, labelled cidata; blocks."""
    import pycdlib  # noqa: PLC0415 - of the extra boot-test

    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for number, (name, body) in enumerate(files_of(account).items()):
        image.add_fp(
            io.BytesIO(body),
            len(body),
            f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
        )
    with path.open("xb") as file:
        image.write_fp(file)
    image.close()
