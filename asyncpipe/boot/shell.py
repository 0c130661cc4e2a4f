"""A shell in a guest, by SSH (asyncssh): nothing of ours is offered to it but the one-time key."""

from __future__ import annotations

import asyncio  # asyncssh's own: asyncpipe runs on asyncio wherever this is imported
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import asyncssh

from asyncpipe.boot.ports import Address, NoLoginError
from asyncpipe.model.boot.machine import Account, Ran, SshAnswer

_LOGIN_S: Final = 90.0  # an emulated machine needs long for its part of a key exchange
_CLOSE_S: Final = 5.0
_PIECE_BYTES: Final = 16 * 1024


class SshShells:
    """Logs in by SSH; the host key of the first login is the one that later ones must have."""

    def __init__(self) -> None:
        self._known: asyncssh.SSHKey | None = None

    @asynccontextmanager
    async def login(self, address: Address, account: Account) -> AsyncIterator[SshShell]:
        """Log in once.

        Raises:
            NoLoginError: nobody answered, or the key was refused.
        """
        connection = await self._connect(address, account)
        try:
            yield SshShell(connection)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_S):
                connection.abort()
                await connection.wait_closed()

    async def _connect(self, address: Address, account: Account) -> asyncssh.SSHClientConnection:
        trusted = [self._known] if self._known else []
        try:
            connection = await asyncssh.connect(
                *address,
                username=account.user,
                client_keys=[asyncssh.import_private_key(account.private_key)],
                client_factory=None if trusted else _TrustFirst,
                known_hosts=(trusted, [], []),
                config=None,
                agent_path=None,
                preferred_auth="publickey",
                login_timeout=_LOGIN_S,
                connect_timeout=_LOGIN_S,
            )
        except asyncssh.PermissionDenied as error:
            raise NoLoginError(SshAnswer.REFUSED) from error
        except (OSError, asyncssh.Error, asyncio.IncompleteReadError) as error:
            raise NoLoginError(SshAnswer.NOTHING) from error
        self._known = connection.get_server_host_key()
        return connection


class _TrustFirst(asyncssh.SSHClient):
    """The machine was made a moment ago and nobody knows its key yet."""

    def validate_host_public_key(self, *_: Any) -> bool:
        return True


class SshShell:
    """A login."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._connection = connection

    async def run(self, script: str, *, limit_s: float, max_bytes: int) -> Ran:
        """Run a script by ``sh``; its output is read on beyond ``max_bytes``, and dropped."""
        kept, cut = bytearray(), False
        exit_code: int | None = None
        with anyio.move_on_after(limit_s):
            try:
                async with self._connection.create_process(
                    "exec sh -s", stderr=asyncssh.STDOUT, encoding=None
                ) as process:
                    process.stdin.write(script.encode())
                    process.stdin.write_eof()
                    while piece := await process.stdout.read(_PIECE_BYTES):
                        room = max_bytes - len(kept)
                        kept += piece[:room]
                        cut = cut or len(piece) > room
                    await process.wait_closed()
                    exit_code = process.returncode
            except (OSError, asyncssh.Error):
                exit_code = None
        return Ran(exit_code=exit_code, output=kept.decode("utf-8", "replace"), cut=cut)
