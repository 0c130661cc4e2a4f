"""HashiCorp's releases of Packer: fetched, checked and installed for this user."""

from asyncpipe.packer.release.install import Downloads, Wanted, install
from asyncpipe.packer.release.names import DEFAULT_VERSION, MIRROR, releases_folder
from asyncpipe.packer.release.signature import hashicorp_key

__all__ = [
    "DEFAULT_VERSION",
    "MIRROR",
    "Downloads",
    "Wanted",
    "hashicorp_key",
    "install",
    "releases_folder",
]
