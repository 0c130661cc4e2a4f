"""XAPI's error codes -> one sentence, what to do, and an exit code (pure).

Codes: https://xapi-project.github.io/xen-api/, and ``ocaml/xapi-consts/api_errors.ml``.
"""

from __future__ import annotations

from typing import Final

from asyncpipe.errors import HostAccessDeniedError, HostError, HostFullError, HostMissingError
from asyncpipe.host.endpoint import Endpoint
from asyncpipe.host.xmlrpc import Refusal
from asyncpipe.text.safe import printable

_MISSING: Final = frozenset({"UUID_INVALID", "HANDLE_INVALID"})
_BACKEND_FULL: Final = frozenset({"SR_BACKEND_FAILURE_44", "SR_FULL", "VDI_TOO_LARGE"})
ROLE_HINT: Final = (
    "It needs the role vm-admin: xe subject-list names the user's uuid, then "
    "xe subject-role-add uuid=... role-name=vm-admin."
)
_SENTENCES: Final = {
    "HOST_OFFLINE": ("a host of the pool is offline", "Start it, or take it out of the pool."),
    "HOST_STILL_BOOTING": ("it is still starting", "Wait a minute and try again."),
    "HOST_NOT_ENOUGH_FREE_MEMORY": (
        "no host has enough free memory for the VM",
        "Give the VM less memory, or stop one that is not needed.",
    ),
    "NO_HOSTS_AVAILABLE": (
        "no host of the pool can start the VM",
        "Look at memory, storage and networks: each must be there on one host.",
    ),
    "LICENCE_RESTRICTION": ("its licence forbids it", ""),
    "VDI_IN_USE": ("the disk is in use", "Detach it first."),
    "VM_BAD_POWER_STATE": ("the VM is in another power state", "Look at it and try again."),
    "OTHER_OPERATION_IN_PROGRESS": ("it is busy with another operation", "Try again later."),
    "OPERATION_NOT_ALLOWED": ("it is not allowed now", ""),
    "IMPORT_INCOMPATIBLE_VERSION": (
        "the XVA was exported by a newer host",
        "Update this host, or build the template on one as old as it.",
    ),
    "NOT_SUPPORTED_DURING_UPGRADE": ("the pool is being upgraded", "Wait until it is done."),
    "SR_OPERATION_NOT_SUPPORTED": ("the storage repository cannot do it", "Name another --sr."),
    "TASK_CANCELLED": ("the task was cancelled on the host", ""),
    "MESSAGE_METHOD_UNKNOWN": ("it does not know this call", "The host is too old for asyncpipe."),
    "SESSION_INVALID": ("the session has ended", "Try again."),
}


def error_of(refusal: Refusal, endpoint: Endpoint, doing: str) -> HostError:
    """Say what the host refused; ``doing`` is a phrase: "log in", "VM.destroy"."""
    code = printable(refusal.code, 60)
    words = printable(" ".join(refusal.parameters), 300)
    if refusal.code == "SESSION_AUTHENTICATION_FAILED":
        return HostAccessDeniedError(
            f"{endpoint} refused the user name or the password.",
            hint="PKR_VAR_remote_username and PKR_VAR_remote_password, or ASYNCPIPE_HOST_USER and "
            "ASYNCPIPE_HOST_PASSWORD.",
            code=refusal.code,
        )
    if refusal.code == "RBAC_PERMISSION_DENIED":
        right = printable(refusal.parameters[0], 80) if refusal.parameters else doing
        return HostAccessDeniedError(
            f"The role of this user at {endpoint} does not allow {right}.",
            hint=ROLE_HINT,
            code=refusal.code,
        )
    if refusal.code in _BACKEND_FULL:
        return HostFullError(
            f"{endpoint}: no room on the storage repository ({code}: {words}).",
            hint="Remove disks that nobody needs (asyncpipe reap removes ours), or name another.",
            code=refusal.code,
        )
    if refusal.code in _MISSING:
        return HostMissingError(f"{endpoint} does not know the object ({words}).", code=code)
    text, hint = _SENTENCES.get(refusal.code, ("", ""))
    return HostError(
        f"{endpoint} refused {doing}: {text or words or code} ({code}).", hint=hint, code=code
    )
