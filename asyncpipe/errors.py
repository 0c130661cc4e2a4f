"""The one tree of errors: each class has an exit code, each error says what, where and what to do.

Exit codes are part of the interface (``docs/exit-codes.md``): 0 published, 1 unexpected,
4 some templates of a matrix failed, 130 cancelled; the others are defined by their classes below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

EXIT_PUBLISHED = 0
EXIT_UNEXPECTED = 1
EXIT_SOME_FAILED = 4
EXIT_ISO_NEWER = 60
EXIT_ISO_GONE = 61
EXIT_ISO_CHANGED = 62
EXIT_ISO_WRONGLY_SIGNED = 63
EXIT_ISO_UNREACHABLE = 64
EXIT_OUTDATED = 65
EXIT_NOT_JUDGED = 66
EXIT_CANCELLED = 130

# What each code means, in the words of reports and of docs/exit-codes.md.
MEANINGS: Mapping[int, str] = {
    EXIT_PUBLISHED: "published",
    EXIT_UNEXPECTED: "unexpected",
    2: "usage or configuration",
    3: "the template cannot be read",
    EXIT_SOME_FAILED: "some templates of a matrix failed",
    20: "Packer failed",
    21: "the build's time limit passed, or the host never answered",
    30: "Packer ended well but left no XVA, or more than one",
    31: "the XVA is empty, truncated, corrupt or something else",
    32: "template, ISO and guest name different systems",
    33: "the image failed its boot test",
    40: "the upload failed",
    41: "the store refused a checksum",
    42: "the store or the host refused these credentials",
    43: "the destination is taken",
    44: "a signature is missing or wrong",
    50: "the host (XAPI) failed",
    EXIT_ISO_NEWER: "a newer ISO is published",
    EXIT_ISO_GONE: "an ISO is gone",
    EXIT_ISO_CHANGED: "the sum or size of an ISO changed",
    EXIT_ISO_WRONGLY_SIGNED: "a list of sums is wrongly signed",
    EXIT_ISO_UNREACHABLE: "an ISO or its list of sums cannot be reached",
    EXIT_OUTDATED: "a template has a reason to be built again",
    EXIT_NOT_JUDGED: "whether a template lacks updates is not known",
    EXIT_CANCELLED: "cancelled",
}


class AsyncpipeError(Exception):
    """A failure that a person can act on: one sentence, and a hint that says what to do."""

    exit_code: ClassVar[int] = EXIT_UNEXPECTED
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.build_exit: object | None = None  # a BuildExit, once Packer ended


class UsageError(AsyncpipeError):
    """Arguments, settings or the machine are not fit for the run."""

    exit_code = 2


class PackerMissingError(UsageError):
    """No HashiCorp Packer, or one that is too old."""


class TemplateError(AsyncpipeError):
    """The template cannot be read; ``file`` and ``line`` say where, when known."""

    exit_code = 3

    def __init__(
        self, message: str, *, hint: str = "", file: str = "", line: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line


class PackerFailedError(AsyncpipeError):
    """Packer ended with an error; ``cause_lines`` are the lines that say why."""

    exit_code = 20

    def __init__(self, message: str, *, hint: str = "", cause_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.cause_lines = cause_lines


class BuildTimedOutError(AsyncpipeError):
    """The build's time limit passed and Packer was stopped."""

    exit_code = 21


class ArtifactError(AsyncpipeError):
    """Packer ended well but left no XVA, or more than one."""

    exit_code = 30


class XvaInvalidError(AsyncpipeError):
    """The XVA is empty, truncated, corrupt or something else."""

    exit_code = 31


class IdentityConflictError(AsyncpipeError):
    """Template, ISO and guest name different systems and strict identity was asked for."""

    exit_code = 32


class BootTestFailedError(AsyncpipeError):
    """The image was started, and did not come up as a clone must."""

    exit_code = 33


class BootTestNotRunError(UsageError):
    """This machine cannot start the image, or not to the end: that says nothing about it."""


class UploadError(AsyncpipeError):
    """The object could not be stored."""

    exit_code = 40


class ChecksumError(UploadError):
    """The store refused a checksum, or what it holds is not what was sent."""

    exit_code = 41


class AccessDeniedError(UploadError):
    """The store refused these credentials."""

    exit_code = 42


class DestinationTakenError(UploadError):
    """An object already stands where a new one was to be created."""

    exit_code = 43


class BucketMissingError(UploadError):
    """The bucket or folder does not exist."""

    exit_code = 2


class ObjectMissingError(UploadError):
    """No object under this key."""


class ObjectTooLargeError(UploadError):
    """An object that should be small is not: it is not read."""


class UploadMissingError(UploadError):
    """The store does not know this multipart upload (it ended, was aborted, or never was)."""


class NotSupportedError(UploadError):
    """The store does not know this kind of listing: what it would say has to be done without."""


class ConflictError(UploadError):
    """A conditional write met a concurrent one (409) or a changed object (If-Match): read again."""


class TransientStoreError(UploadError):
    """A reset, a timeout or a 5xx: the same call may succeed later."""


class SlowDownError(TransientStoreError):
    """The store asks for fewer requests (503 SlowDown, 429)."""


class CredentialsExpiredError(TransientStoreError):
    """The session token ran out; the call may succeed with fresh credentials."""

    exit_code = 42


class SourceChangedError(UploadError):
    """The file shrank, was replaced or was rewritten while it was read."""


class SignatureError(AsyncpipeError):
    """A signature is missing or wrong, or what it covers is; or nothing could be signed."""

    exit_code = 44


class HostError(AsyncpipeError):
    """The host (XAPI) failed, refused a request, or broke off; ``code`` is XAPI's, if any."""

    exit_code = 50

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class HostUnreachableError(HostError):
    """No answer from the host within the limit."""


class HostAccessDeniedError(HostError):
    """The host refused these credentials, or their role lacks a right."""

    exit_code = 42


class HostTrustError(HostError):
    """The host's certificate is not the one that is trusted; nothing was sent to it."""

    exit_code = 2


class HostUntrustedError(HostTrustError):
    """Nobody vouches for the host's certificate: no fingerprint, no authority."""


class HostMissingError(HostError):
    """The host does not know what was named: a template, a network, a storage repository."""

    exit_code = 2


class HostFullError(HostError):
    """A storage repository has no room."""


class NotOursError(HostError):
    """Something on the host does not belong to this run, so that it is left alone."""


def leaf_of(error: BaseException) -> BaseException:
    """Return the most telling leaf of (possibly nested) exception groups.

    The first leaf that is one of ours wins, then the first that is not a cancellation, then any.
    """
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, AsyncpipeError):
            return leaf
    for leaf in leaves:
        if isinstance(leaf, Exception):
            return leaf
    return leaves[0]


@contextmanager
def flattened() -> Iterator[None]:
    """Raise the most telling error of a task group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaf = leaf_of(group)
        if isinstance(leaf, Exception):
            raise leaf from leaf.__cause__
        raise


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
