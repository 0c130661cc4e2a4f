"""Errors of botocore, aiohttp and the store -> errors of ours, one way; text bounded and escaped.

Codes: S3 API reference, "Error responses"; what each server answers: docs/stores.md.
"""

from __future__ import annotations

from collections.abc import Collection

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from asyncpipe.errors import (
    AccessDeniedError,
    BucketMissingError,
    ChecksumError,
    ConflictError,
    CredentialsExpiredError,
    DestinationTakenError,
    NotSupportedError,
    ObjectMissingError,
    SlowDownError,
    TransientStoreError,
    UploadError,
    UploadMissingError,
)
from asyncpipe.stores.s3.connection import PLAIN_OR_TLS, explained
from asyncpipe.text.safe import printable

_TEXT_LIMIT = 200
_RIGHTS = (
    "The key needs s3:ListBucket and s3:ListBucketMultipartUploads on the bucket; s3:PutObject, "
    "s3:GetObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts on "
    "what is below the prefix."
)

_BY_CODE: dict[str, tuple[type[UploadError], str]] = {
    "AccessDenied": (AccessDeniedError, _RIGHTS),
    "AllAccessDisabled": (AccessDeniedError, ""),
    "AccountProblem": (AccessDeniedError, ""),
    "InvalidAccessKeyId": (AccessDeniedError, "Check AWS_ACCESS_KEY_ID or AWS_PROFILE."),
    "XAdminUserNotFound": (
        AccessDeniedError,
        "Check AWS_ACCESS_KEY_ID or AWS_PROFILE.",
    ),  # versitygw
    "SignatureDoesNotMatch": (
        AccessDeniedError,
        "Check AWS_SECRET_ACCESS_KEY, the region and the endpoint.",
    ),
    "InvalidSecurity": (AccessDeniedError, ""),
    "InvalidToken": (AccessDeniedError, "Check AWS_SESSION_TOKEN."),
    "KMS.AccessDeniedException": (
        AccessDeniedError,
        "The key needs kms:GenerateDataKey and kms:Decrypt.",
    ),
    "NoSuchBucket": (BucketMissingError, "Create the bucket or correct the destination."),
    "NoSuchUpload": (UploadMissingError, ""),
    "NoSuchKey": (ObjectMissingError, ""),
    "BadDigest": (ChecksumError, "The bytes changed on their way; send them again."),
    "InvalidDigest": (ChecksumError, ""),
    "XAmzContentSHA256Mismatch": (ChecksumError, ""),
    "XAmzContentChecksumMismatch": (ChecksumError, ""),
    "ExpiredToken": (CredentialsExpiredError, "Get fresh credentials; the upload can be resumed."),
    "ExpiredTokenException": (CredentialsExpiredError, ""),
    "RequestExpired": (CredentialsExpiredError, "Get fresh credentials."),
    "RequestTimeTooSkewed": (UploadError, "Set this machine's clock, for example with NTP."),
    "SlowDown": (SlowDownError, ""),
    "TooManyRequests": (SlowDownError, ""),
    "Throttling": (SlowDownError, ""),
    "RequestLimitExceeded": (SlowDownError, ""),
    "ConditionalRequestConflict": (ConflictError, ""),
    "OperationAborted": (TransientStoreError, ""),
    "InternalError": (TransientStoreError, ""),
    "ServiceUnavailable": (TransientStoreError, ""),
    "RequestTimeout": (TransientStoreError, ""),
    "IncompleteBody": (TransientStoreError, ""),
    "EntityTooSmall": (UploadError, "The store wants larger parts: --part-size."),
    "EntityTooLarge": (UploadError, "The store wants smaller parts: --part-size."),
    "NotImplemented": (UploadError, "--s3-profile auto asks the store what it knows."),
    "PermanentRedirect": (UploadError, "The bucket is in another region: AWS_REGION."),
    "TemporaryRedirect": (UploadError, "Name the bucket's region: AWS_REGION."),
    "AuthorizationHeaderMalformed": (UploadError, "Check the region: AWS_REGION."),
}
_BY_STATUS: dict[int, tuple[type[UploadError], str]] = {
    401: (AccessDeniedError, ""),
    403: (AccessDeniedError, f"Check the credentials. {_RIGHTS}"),
    404: (ObjectMissingError, ""),
    408: (TransientStoreError, ""),
    409: (ConflictError, ""),
    413: (
        UploadError,
        "The store or its proxy takes smaller bodies: --part-size (nginx: client_max_body_size).",
    ),
    429: (SlowDownError, ""),
}
_COULD_NOT = {
    "probe": "The destination {} cannot be written",
    "get_object": "{} cannot be read",
    "head_object": "{} cannot be inspected",
    "put_object": "{} was not stored",
    "delete_object": "{} was not removed",
    "list_objects_v2": "The objects below {} cannot be listed",
    "create_multipart_upload": "The upload of {} could not be begun",
    "upload_part": "A part of {} was not stored",
    "complete_multipart_upload": "The upload of {} could not be completed",
    "abort_multipart_upload": "The upload of {} could not be aborted",
    "list_parts": "The parts of {} cannot be listed",
    "list_multipart_uploads": "The open uploads below {} cannot be listed",
    "get_bucket_lifecycle_configuration": "The lifecycle rules of {} cannot be read",
}
_LISTINGS = {"list_parts", "list_multipart_uploads"}
# what --sse, --s3-tag, ... put into a request
_OPTION_OF = {
    "ServerSideEncryption": "--sse",
    "SSEKMSKeyId": "--kms-key-id",
    "Tagging": "--s3-tag",
    "StorageClass": "--storage-class",
    "ObjectLockMode": "--object-lock",
}
_OF_UPLOADS = {"upload_part", "complete_multipart_upload", "abort_multipart_upload", "list_parts"}
_CHECKSUM_WORDS = ("checksum", "digest", "x-amz-mp-object-size", "mpuobjectsize")


class UnexplainedError(UploadError):
    """A HEAD was answered with 400, which has no body to say why; a GET would have one."""


def translated(
    error: Exception,
    *,
    operation: str,
    where: str,
    parameters: Collection[str] = (),
    proven: bool = False,
) -> UploadError:
    """Return our error for a foreign one.

    ``where`` is the URL for people, never a signed one; ``parameters`` are the names of what was
    asked; ``proven``: the endpoint has answered before.
    """
    if isinstance(error, ClientError):
        return _from_answer(error, operation, where, parameters)
    # what works on a part comes after answers to other calls
    return _from_client(error, operation, where, proven=proven or operation in _OF_UPLOADS)


def code_of(error: Exception) -> tuple[int, str]:
    """Return status and S3 code of an answer; (0, "") when there was none."""
    if not isinstance(error, ClientError):
        return 0, ""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(status), str(error.response.get("Error", {}).get("Code", ""))


def _from_answer(
    error: ClientError, operation: str, where: str, parameters: Collection[str]
) -> UploadError:
    status, code = code_of(error)
    text = clause(str(error.response.get("Error", {}).get("Message", "")))
    if 300 <= status < 400 and code not in _BY_CODE:
        return UploadError(
            f"{_said(operation, where)}: the endpoint redirects to another place ({status}).",
            hint="Redirects are not followed, since requests carry a signature: name that place"
            " itself in AWS_ENDPOINT_URL_S3 (on AWS the bucket's region: AWS_REGION).",
        )
    message = f"{_said(operation, where)}: {clause(code) or status}: {text}".rstrip(": ") + "."
    kind, hint = _kind_of(status, code, text.lower(), operation)
    if "IfMatch" in parameters and status in {404, 412}:
        return ConflictError(f"{where} is no longer the object that was read.")
    if status == 412 or code == "PreconditionFailed":
        return DestinationTakenError(f"{where} exists already.")
    return kind(message, hint=_hint_of_options(status, parameters) or _region(error) or hint)


def _hint_of_options(status: int, parameters: Collection[str]) -> str:
    """A store that does not implement something may mean what an option asked for."""
    asked = [option for name, option in _OPTION_OF.items() if name in parameters]
    if status != 501 or not asked:
        return ""
    return f"The store may not know what {', '.join(asked)} asks for: leave it out."


def _region(error: ClientError) -> str:
    region = clause(str(error.response.get("Error", {}).get("Region", "")))
    return f"The bucket's region is {region}: AWS_REGION." if region else ""


def _kind_of(status: int, code: str, text: str, operation: str) -> tuple[type[UploadError], str]:
    kind, hint = _BY_CODE.get(code) or _BY_STATUS.get(status) or (UploadError, "")
    if status >= 500 and not issubclass(kind, TransientStoreError) and status != 501:
        kind = TransientStoreError
    if status == 503 and kind is TransientStoreError and code in {"503", ""}:
        kind = SlowDownError
    if status == 400 and code in {"400", ""} and operation == "head_object":
        return UnexplainedError, hint
    if operation in _LISTINGS and status in {405, 501}:
        return NotSupportedError, ""
    if kind is ObjectMissingError and operation in _OF_UPLOADS:
        kind = UploadMissingError  # Ceph 16 says NoSuchKey where S3 says NoSuchUpload
    if code == "InvalidArgument" and operation == "upload_part":
        hint = "A store that takes fewer than 10,000 parts needs --s3-max-parts."
    if status == 400 and kind is UploadError and code in {"400", ""}:
        hint = f"S3 does not answer so. {PLAIN_OR_TLS}"
    if status == 400 and kind is UploadError and any(word in text for word in _CHECKSUM_WORDS):
        kind = ChecksumError  # InvalidRequest and InvalidPart report sizes and checksums in prose
    return kind, hint


def _from_client(error: Exception, operation: str, where: str, *, proven: bool) -> UploadError:
    what = _said(operation, where)
    if explanation := explained(error, proven=proven):
        lasting = UploadError if explanation.lasting else TransientStoreError
        return lasting(f"{what}: {explanation.text}.", hint=explanation.hint)
    kind: type[UploadError] = TransientStoreError
    text, hint = f"the connection failed: {_cause_of(error)}", ""
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            kind, text = AccessDeniedError, "there are no complete credentials"
            hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        case SSLError():
            kind, text = UploadError, f"TLS failed: {_cause_of(error)}"
        case ConnectTimeoutError():
            text, hint = "no connection in time", "Check AWS_ENDPOINT_URL_S3 and the network."
        case ReadTimeoutError() | TimeoutError():
            text = "no answer in time"
        case ParamValidationError():
            kind, text = UploadError, clause(str(error))
        case BotoCoreError() if not isinstance(error, HTTPClientError | BotoConnectionError):
            kind, text = UploadError, _cause_of(error)
        case _:
            pass
    return kind(f"{what}: {text}.", hint=hint)


def clause(text: str) -> str:
    """One line of at most 200 printable characters, without a full stop at the end."""
    return printable(text, _TEXT_LIMIT).rstrip(". ")


def _cause_of(error: Exception) -> str:
    """Name the innermost cause: botocore's own text would repeat the request's URL."""
    inner: BaseException = error
    while isinstance(inner, BotoCoreError) and (inner.__cause__ or inner.__context__):
        inner = inner.__cause__ or inner.__context__ or inner
    if isinstance(inner, BotoCoreError):
        return type(inner).__name__
    return clause(f"{type(inner).__name__} {inner}".strip())


def _said(operation: str, where: str) -> str:
    """What could not be done, as a sentence's beginning."""
    return _COULD_NOT.get(operation, operation.replace("_", " ") + " {} failed").format(where)
