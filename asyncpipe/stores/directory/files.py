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
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
from asyncpipe.stores.directory.lock import insist, locked
from asyncpipe.stores.directory.looking import info_of
from asyncpipe.stores.directory.records import (
    FILE_MODE,
    NOT_OURS,
    Sidecar,
    UploadRecord,
    read_json,
    write_json,
)
from asyncpipe.system.files import make_folder, open_regular, sync_path

_ID_BYTES = 12
_KINDS = (
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISSOCK, "socket"),
)


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
        known = _is_id(handle.upload_id) and _is_folder(self.work) and _is_folder(folder)
        if not known or not (folder / "upload.json").is_file():
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
        insist(lambda: make_folder(folder))
        if not _is_folder(self.work):
            raise AccessDeniedError(f"{self.work} is a symbolic link.")
        try:
            os.close(os.open(folder / "data", os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            self.write_record(folder, record)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return UploadHandle(key=record.key, upload_id=upload_id)

    def read_record(self, handle: UploadHandle) -> UploadRecord:
        """Read ``upload.json``; UploadMissingError."""
        record = read_json(self.upload_folder(handle) / "upload.json", UploadRecord)
        if record is None or record.key != handle.key:
            raise UploadMissingError(
                f"There is no open upload {handle.upload_id!r} of {handle.key}."
            )
        return record

    def write_record(self, folder: Path, record: UploadRecord) -> None:
        """Replace ``upload.json`` atomically."""
        write_json(folder / "upload.json", record)

    def remove_upload(self, handle: UploadHandle) -> None:
        """Remove an upload's folder, ``upload.json`` first: nobody resumes the rest."""
        folder = self.upload_folder(handle)
        with contextlib.suppress(FileNotFoundError):
            (folder / "upload.json").unlink()
        shutil.rmtree(folder, ignore_errors=True)

    def uploads(self) -> list[tuple[UploadHandle, UploadRecord]]:
        """Every open upload, oldest first; a folder without a readable record does not count."""
        found = [
            (UploadHandle(key=record.key, upload_id=folder.name), record)
            for folder, record in self.folders()
            if record is not None and not record.small
        ]
        return sorted(found, key=lambda item: item[1].initiated_utc)

    def folders(self) -> Iterator[tuple[Path, UploadRecord | None]]:
        """Every folder of an upload, with its record where that can be read."""
        for folder in sorted(self.work.glob("*/")) if _is_folder(self.work) else []:
            if _is_id(folder.name) and _is_folder(folder):
                yield folder, read_json(folder / "upload.json", UploadRecord)

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
        with locked(self.work):
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
            # what a link leads to is not the name itself
            if not os.path.samestat(
                target.lstat(), data.lstat()
            ):  # else: an earlier call of ours was cut after the link
                sidecar.unlink(missing_ok=True)
                raise _taken(target) from None
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
        with locked(self.work):
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
        """Look at an object; metadata when the file is still the one that was published.

        What is not a regular file, a symbolic link too, is not an object.
        """
        path = self.path_of(key)
        try:
            seen = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(seen.st_mode):
            return None
        extra = read_json(self.work / "objects" / _sidecar_name(seen), Sidecar)
        info = info_of(key, seen)
        if extra is None or extra.key != key:
            return info
        return replace(
            info,
            content_type=extra.content_type,
            metadata=extra.metadata,
            crc64nvme_base64=extra.crc64nvme_base64,
        )

    def open_object(self, key: str) -> int:
        """Open an object for reading; ObjectMissingError."""
        path = self.path_of(key)
        try:
            return open_regular(path)
        except OSError as error:
            if error.errno not in NOT_OURS - {errno.EACCES}:
                raise
            raise ObjectMissingError(f"There is no object {path}.") from None

    # -- details -------------------------------------------------------------------------------

    def _write_sidecar(
        self, data: Path, record: UploadRecord, crc64nvme_base64: str | None
    ) -> Path:
        sidecar = self.work / "objects" / _sidecar_name(data.stat())
        make_folder(sidecar.parent)
        if not _is_folder(sidecar.parent):
            raise AccessDeniedError(f"{sidecar.parent} is a symbolic link.")
        known = Sidecar(
            key=record.key,
            content_type=record.content_type,
            metadata=record.metadata,
            crc64nvme_base64=crc64nvme_base64,
        )
        write_json(sidecar, known)
        return sidecar

    def sidecar_of(self, target: Path) -> Path | None:
        """Where the metadata of a published file is kept; None if the file does not exist."""
        try:
            return self.work / "objects" / _sidecar_name(target.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return None


def _taken(target: Path) -> UploadError:
    """Explain why a name cannot be created: a file has it already, or something else does."""
    mode = target.lstat().st_mode
    if stat.S_ISREG(mode):
        return DestinationTakenError(f"{target} exists already.")
    kind = next((name for is_it, name in _KINDS if is_it(mode)), "special file")
    return UploadError(
        f"{target} is a {kind}, not a file.", hint="Remove it, then run the command again."
    )


def _is_folder(path: Path) -> bool:
    """A folder itself: whoever plants a link to one must not lead us out of the root."""
    return path.is_dir() and not path.is_symlink()


def _sidecar_name(seen: os.stat_result) -> str:
    """Name a sidecar after the identity of its file, so that it can never describe another one."""
    identity = f"{seen.st_ino}-{seen.st_mtime_ns}-{seen.st_size}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32] + ".json"


def _make_folders(folder: Path, root: Path) -> None:
    """Create ``folder`` durably: each new name is synced in its parent."""
    missing = []
    while not folder.is_dir() and folder != root.parent:
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=0o755, exist_ok=True)
        sync_path(path.parent)


def _is_id(text: str) -> bool:
    return len(text) == 2 * _ID_BYTES and all(letter in "0123456789abcdef" for letter in text)
