"""A running stand-in as a test sees it: where it is, what it holds, what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.s3_standin.faults import Faults
from tests.s3_standin.messages import Request
from tests.s3_standin.operations import Operations
from tests.s3_standin.storage import Storage, Stored, Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request that was answered (status 0: the connection was cut)."""

    operation: str
    key: str
    part_number: int | None
    status: int
    headers: dict[str, str] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class StandIn:
    """A running stand-in."""

    endpoint_url: str
    bucket: str
    storage: Storage
    operations: Operations
    faults: Faults
    keys: dict[str, str]  # access key -> secret key
    requests: list[Seen]
    # session token -> parts it is still good for; then every request with it is ExpiredToken
    token_parts: dict[str, int] = field(default_factory=dict)

    @property
    def destination(self) -> str:
        """``s3://bucket/p``, for open_store."""
        return f"s3://{self.bucket}/p"

    @property
    def environment(self) -> dict[str, str]:
        """What open_store needs."""
        access_key, secret_key = next(iter(self.keys.items()))
        return {
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
        }

    def objects(self) -> dict[str, Stored]:
        """Every visible object by its full key."""
        with self.storage.lock:
            found = {
                key: self.storage.get(self.bucket, key) for key in self.storage.keys(self.bucket)
            }
        return {key: stored for key, stored in found.items() if stored}

    def read(self, key: str) -> bytes:
        """The bytes of an object by its full key."""
        return self.storage.object_path(self.bucket, key).read_bytes()

    def uploads(self) -> list[Upload]:
        """Every open upload."""
        with self.storage.lock:
            return self.storage.uploads(self.bucket)

    def parts(self, upload_id: str) -> dict[int, Stored]:
        """The parts of an open upload."""
        with self.storage.lock:
            return self.storage.parts(self.bucket, upload_id)

    def is_expired(self, request: Request) -> bool:
        """Tell whether the session token has run out; a part uses some of it up."""
        token = request.headers.get("x-amz-security-token", "")
        with self.storage.lock:
            left = self.token_parts.get(token)
            if left and request.operation == "UploadPart":
                self.token_parts[token] = left - 1
        return left == 0

    def seen(self, operation: str) -> list[Seen]:
        """The requests of one operation, in order."""
        return [request for request in self.requests if request.operation == operation]
