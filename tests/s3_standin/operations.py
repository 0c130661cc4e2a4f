"""The S3 subset, request in, answer out; validates what its profile says it validates."""

from __future__ import annotations

from collections.abc import Callable

from tests.s3_standin.messages import Answer, Request, S3Error
from tests.s3_standin.objects import Objects
from tests.s3_standin.profiles import Profile
from tests.s3_standin.storage import Storage
from tests.s3_standin.uploads import Uploads


class Operations:
    """Does what requests ask."""

    def __init__(self, storage: Storage, profile: Profile) -> None:
        self.storage = storage
        self.lifecycle: bytes | None = None
        self._objects = objects = Objects(storage, profile)
        self._uploads = uploads = Uploads(storage, profile)
        self._by_name: dict[str, Callable[[Request], Answer]] = {
            "CreateBucket": self._create_bucket,
            "HeadBucket": lambda _: Answer(),
            "ListObjectsV2": objects.list_objects,
            "ListMultipartUploads": uploads.list_uploads,
            "GetBucketLifecycleConfiguration": self._get_lifecycle,
            "PutObject": objects.put_object,
            "GetObject": objects.get_object,
            "HeadObject": objects.get_object,
            "DeleteObject": objects.delete_object,
            "CreateMultipartUpload": uploads.create_upload,
            "UploadPart": uploads.upload_part,
            "UploadPartCopy": uploads.copy_part,
            "CompleteMultipartUpload": uploads.complete,
            "AbortMultipartUpload": uploads.abort,
            "ListParts": uploads.list_parts,
        }

    @property
    def profile(self) -> Profile:
        """How the server behaves; a test may change it while it serves."""
        return self._objects.profile

    @profile.setter
    def profile(self, profile: Profile) -> None:
        self._objects.profile = self._uploads.profile = profile

    def perform(self, request: Request) -> Answer:
        """Do it; S3Error when refused."""
        handler = self._by_name.get(request.operation)
        if handler is None:
            raise S3Error(501, "NotImplemented", f"no {request.operation} here")
        with self.storage.lock:
            if request.operation != "CreateBucket" and request.bucket not in self.storage.buckets():
                raise S3Error(404, "NoSuchBucket")
            return handler(request)

    def _create_bucket(self, request: Request) -> Answer:
        self.storage.create_bucket(request.bucket)
        return Answer(headers={"Location": f"/{request.bucket}"})

    def _get_lifecycle(self, request: Request) -> Answer:
        if self.lifecycle is None:
            raise S3Error(404, "NoSuchLifecycleConfiguration")
        return Answer(body=self.lifecycle)
