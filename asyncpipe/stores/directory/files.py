"""The directory store's blocking half: temporary files, atomic publication, journals of parts.

Layout below the root, next to the published files::

    .asyncpipe-uploads/lock                      serialises what replaces or removes an object
    .asyncpipe-uploads/objects/<name>.json       content type and metadata of a published file
    .asyncpipe-uploads/<id>/upload.json          key, content type, metadata, stride
    .asyncpipe-uploads/<id>/data                 parts at (number - 1) * stride
    .asyncpipe-uploads/<id>/part-00042.json      size, place and checksum of a finished part
    .asyncpipe-uploads/<id>/part-00042.data      a part that came before the stride was known
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncpipe.errors import (
    AccessDeniedError,
    ConflictError,
    DestinationTakenError,
    ObjectMissingError,
    UploadError,
    UploadMissingError,
)
from asyncpipe.model.store import ObjectInfo, UploadHandle
from asyncpipe.model.store_keys import WORK_FOLDER, checked_key
from asyncpipe.system.files import replace_file, sync_path
from asyncpipe.text.format import utc_text

FILE_MODE = 0o644  # minus the umask
_ID_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """What ``upload.json`` holds; ``stride_bytes`` is the size of part 1, once that is known."""

    key: str
    content_type: str
    metadata: Mapping[str, str]
    initiated_utc: str
    stride_bytes: int | None = None
    small: bool = False  # a single put on its way: nobody resumes it


class DirectoryFiles:
    """Blocking file operations below one root; call them in worker threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / WORK_FOLDER

    # -- places --------------------------------------------------------------------------------

    def path_of(self, key: str) -> Path:
        """The file of an object; AccessDeniedError when a symlink leads out of the root."""
        path = self.root / checked_key(key)
        parent = path.parent.resolve()
        root = self.root.resolve()
        if not (parent == root or parent.is_relative_to(root)):
            raise AccessDeniedError(f"{key!r} leads out of {self.root} through a symbolic link.")
        return path

    def upload_folder(self, handle: UploadHandle) -> Path:
        """The folder of an open upload; UploadMissingError."""
        folder = self.work / handle.upload_id
        if not _is_id(handle.upload_id) or not (folder / "upload.json").is_file():
            raise UploadMissingError(
                f"There is no open upload {handle.upload_id!r} of {handle.key}."
            )
        return folder

    # -- uploads -------------------------------------------------------------------------------

    def create_upload(self, record: UploadRecord) -> UploadHandle:
        """Make the upload's folder; it counts once its ``upload.json`` is there."""
        self.path_of(record.key)
        upload_id = secrets.token_hex(_ID_BYTES)
        folder = self.work / upload_id
        folder.mkdir(parents=True)
        try:
            os.close(os.open(folder / "data", os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            self.write_record(folder, record)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return UploadHandle(key=record.key, upload_id=upload_id)

    def read_record(self, handle: UploadHandle) -> UploadRecord:
        """Read ``upload.json``; UploadMissingError."""
        raw = read_json(self.upload_folder(handle) / "upload.json")
        if raw is None or raw["key"] != handle.key:
            raise UploadMissingError(
                f"There is no open upload {handle.upload_id!r} of {handle.key}."
            )
        return UploadRecord(**raw)

    def write_record(self, folder: Path, record: UploadRecord) -> None:
        """Replace ``upload.json`` atomically."""
        write_json(
            folder / "upload.json",
            {
                "key": record.key,
                "content_type": record.content_type,
                "metadata": dict(record.metadata),
                "initiated_utc": record.initiated_utc,
                "stride_bytes": record.stride_bytes,
                "small": record.small,
            },
        )

    def remove_upload(self, handle: UploadHandle) -> None:
        """Remove an upload's folder, ``upload.json`` first: nobody resumes the rest."""
        folder = self.upload_folder(handle)
        with contextlib.suppress(FileNotFoundError):
            (folder / "upload.json").unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def uploads(self) -> list[tuple[UploadHandle, UploadRecord]]:
        """Every open upload, oldest first; a folder without a readable record is no upload."""
        found = [
            (UploadHandle(key=record.key, upload_id=folder.name), record)
            for folder, record in self.folders()
            if record is not None and not record.small
        ]
        return sorted(found, key=lambda item: item[1].initiated_utc)

    def folders(self) -> Iterator[tuple[Path, UploadRecord | None]]:
        """Every folder of an upload, with its record where that can be read."""
        for folder in sorted(self.work.glob("*/")) if self.work.is_dir() else []:
            if _is_id(folder.name):
                raw = read_json(folder / "upload.json")
                yield folder, None if raw is None else UploadRecord(**raw)

    # -- publication ---------------------------------------------------------------------------

    def publish(
        self,
        handle: UploadHandle,
        data: Path,
        *,
        create_only: bool,
        if_match: str | None = None,
        crc64nvme_base64: str | None,
    ) -> ObjectInfo:
        """Give ``data`` its public name: durable, whole, atomic; then drop the upload's folder.

        Raises:
            DestinationTakenError, ConflictError
        """
        record = self.read_record(handle)
        target = self.path_of(record.key)
        sync_path(data)
        with self.locked():
            _make_folders(target.parent, self.root)
            if if_match is not None:
                self._check_match(record.key, target, if_match)
            sidecar = self._write_sidecar(data, record, crc64nvme_base64)
            self._rename(data, target, create_only=create_only, sidecar=sidecar)
        sync_path(target.parent)
        self.remove_upload(handle)
        info = self.info(record.key)
        if info is None:
            raise ConflictError(f"{target} was removed while it was published.")
        return info

    def _check_match(self, key: str, target: Path, if_match: str) -> None:
        info = self.info(key)
        if info is None or info.etag != if_match:
            raise ConflictError(f"{target} is no longer the file that was read.")

    def _rename(self, data: Path, target: Path, *, create_only: bool, sidecar: Path) -> None:
        if not create_only:
            old = self.sidecar_of(target)
            data.replace(target)
            if old is not None and old != sidecar:
                old.unlink(missing_ok=True)
            return
        try:
            # link(2) refuses an existing name in one step; rename(2) would replace it
            target.hardlink_to(data)
        except FileExistsError:
            if not target.samefile(data):  # else: an earlier call of ours was cut after the link
                sidecar.unlink(missing_ok=True)
                raise DestinationTakenError(f"{target} exists already.") from None
        except OSError as error:
            sidecar.unlink(missing_ok=True)
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV}:
                raise
            raise UploadError(
                f"{target.parent} takes no hard links from {self.work}, so a name cannot be"
                " created in one step.",
                hint="Publish to a folder within one native Linux file system.",
            ) from error

    def delete(self, key: str) -> None:
        """Remove an object, its sidecar, and folders that this leaves empty."""
        target = self.path_of(key)
        with self.locked():
            sidecar = self.sidecar_of(target)
            target.unlink(missing_ok=True)
            if sidecar is not None:
                sidecar.unlink(missing_ok=True)
            for folder in target.relative_to(self.root).parents[:-1]:
                try:
                    (self.root / folder).rmdir()
                except OSError:  # not empty, or gone
                    break

    # -- looking -------------------------------------------------------------------------------

    def info(self, key: str) -> ObjectInfo | None:
        """Look at an object; metadata when the file is still the one that was published."""
        path = self.path_of(key)
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not path.is_file():
            return None
        extra = read_json(self.work / "objects" / _sidecar_name(stat)) or {}
        if extra.get("key") != key:
            extra = {}
        return ObjectInfo(
            key=key,
            size_bytes=stat.st_size,
            etag=f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}",
            modified_utc=utc_text(datetime.fromtimestamp(stat.st_mtime, UTC)),
            content_type=extra.get("content_type", ""),
            metadata=extra.get("metadata", {}),
            crc64nvme_base64=extra.get("crc64nvme_base64"),
        )

    def keys(self, prefix: str) -> list[str]:
        """Every key that begins with ``prefix``, in order."""
        found = []
        for folder, folders, names in os.walk(self.root):
            here = Path(folder).relative_to(self.root).as_posix()
            start = "" if here == "." else here + "/"
            folders[:] = [
                name
                for name in folders
                if (start or name != WORK_FOLDER) and _may_hold(f"{start}{name}/", prefix)
            ]
            found += [start + name for name in names if (start + name).startswith(prefix)]
        return sorted(found)

    def open_object(self, key: str) -> int:
        """Open an object for reading; ObjectMissingError."""
        path = self.path_of(key)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissingError(f"There is no object {path}.") from None

    # -- details -------------------------------------------------------------------------------

    def _write_sidecar(
        self, data: Path, record: UploadRecord, crc64nvme_base64: str | None
    ) -> Path:
        sidecar = self.work / "objects" / _sidecar_name(data.stat())
        sidecar.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            sidecar,
            {
                "key": record.key,
                "content_type": record.content_type,
                "metadata": dict(record.metadata),
                "crc64nvme_base64": crc64nvme_base64,
            },
        )
        return sidecar

    def sidecar_of(self, target: Path) -> Path | None:
        """Where the metadata of a published file stands, if that is there; None: no such file."""
        try:
            return self.work / "objects" / _sidecar_name(target.stat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store's lock against other processes and threads."""
        self.work.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.work / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def locked_to_read(self) -> Iterator[None]:
        """Hold the lock where somebody made one: looking creates nothing and may be all we may."""
        try:
            descriptor = os.open(self.work / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Mapping[str, Any], *, durable: bool = True) -> None:
    """Replace a small file atomically, and durably when asked."""
    body = json.dumps(value, sort_keys=True).encode()
    replace_file(path, body, mode=FILE_MODE, durable=durable)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a small JSON object, None when it is absent or damaged."""
    try:
        raw = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return raw if isinstance(raw, dict) else None


def _sidecar_name(stat: os.stat_result) -> str:
    """Name a sidecar after the identity of its file, so that it can never tell of another one."""
    identity = f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32] + ".json"


def _make_folders(folder: Path, root: Path) -> None:
    """Create ``folder`` durably: each new name is synced in its parent."""
    missing = []
    while not folder.is_dir() and folder != root.parent:
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_path(path.parent)


def _may_hold(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)


def _is_id(text: str) -> bool:
    return len(text) == 2 * _ID_BYTES and all(letter in "0123456789abcdef" for letter in text)
