"""What the stand-in has stored: plain files below one folder, so that it survives a kill -9."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One object or part; checksums by the name of their header, without the prefix."""

    size_bytes: int
    etag: str
    headers: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    modified_utc: str = ""
    upload_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One open upload."""

    key: str
    upload_id: str
    headers: dict[str, str]
    initiated_utc: str


class Storage:
    """Buckets, objects and uploads; callers hold ``lock`` to look and change in one step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.RLock()

    # -- objects -------------------------------------------------------------------------------

    def buckets(self) -> set[str]:
        """Names of the buckets."""
        return {path.name for path in self.root.iterdir() if path.is_dir()}

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket; no error when it is there."""
        for name in ("objects", "uploads", "incoming"):
            (self.root / bucket / name).mkdir(parents=True, exist_ok=True)

    def incoming(self, bucket: str) -> Path:
        """A new file for bytes that arrive."""
        return self.root / bucket / "incoming" / secrets.token_hex(8)

    def object_path(self, bucket: str, key: str) -> Path:
        """The file of an object."""
        return self.root / bucket / "objects" / quote(key, safe="")

    def get(self, bucket: str, key: str) -> Stored | None:
        """Look at an object."""
        return _read(self.object_path(bucket, key))

    def keys(self, bucket: str) -> list[str]:
        """Every key in order."""
        names = (self.root / bucket / "objects").glob("*@meta")
        return sorted(unquote(path.name.removesuffix("@meta")) for path in names)

    def put(self, bucket: str, key: str, data: Path, stored: Stored) -> None:
        """Make an object visible."""
        target = self.object_path(bucket, key)
        data.replace(target)
        _write(target, stored)

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        path = self.object_path(bucket, key)
        _meta(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    # -- uploads -------------------------------------------------------------------------------

    def create_upload(self, bucket: str, key: str, headers: dict[str, str]) -> Upload:
        """Begin an upload."""
        upload = Upload(
            key=key, upload_id=secrets.token_hex(16), headers=headers, initiated_utc=now_utc()
        )
        folder = self.root / bucket / "uploads" / upload.upload_id
        folder.mkdir()
        _replace(folder / "upload", asdict(upload))
        return upload

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload | None:
        """Look at an upload."""
        if not upload_id.isalnum():
            return None
        path = self.root / bucket / "uploads" / upload_id / "upload"
        found = Upload(**json.loads(path.read_text())) if path.is_file() else None
        return found if found and found.key == key else None

    def uploads(self, bucket: str) -> list[Upload]:
        """Every open upload in order of keys."""
        paths = (self.root / bucket / "uploads").glob("*/upload")
        found = [Upload(**json.loads(path.read_text())) for path in paths]
        return sorted(found, key=lambda upload: (upload.key, upload.upload_id))

    def part_path(self, bucket: str, upload_id: str, number: int) -> Path:
        """The file of a part."""
        return self.root / bucket / "uploads" / upload_id / f"{number:05d}"

    def put_part(
        self, bucket: str, upload_id: str, number: int, data: Path, stored: Stored
    ) -> None:
        """Keep a part; the last one of a number counts."""
        target = self.part_path(bucket, upload_id, number)
        data.replace(target)
        _write(target, stored)

    def parts(self, bucket: str, upload_id: str) -> dict[int, Stored]:
        """Every part in order."""
        folder = self.root / bucket / "uploads" / upload_id
        numbers = sorted(int(path.name[:5]) for path in folder.glob("[0-9]*@meta"))
        found = {number: _read(folder / f"{number:05d}") for number in numbers}
        return {number: part for number, part in found.items() if part}

    def drop_upload(self, bucket: str, upload_id: str) -> None:
        """Forget an upload and its parts."""
        shutil.rmtree(self.root / bucket / "uploads" / upload_id)

    def pieces(self, path: Path) -> Iterator[bytes]:
        """Read a file in pieces."""
        with path.open("rb") as file:
            while piece := file.read(1024 * 1024):
                yield piece


def now_utc() -> str:
    """Now, as S3's XML has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _meta(path: Path) -> Path:
    return path.with_name(path.name + "@meta")  # quoted keys hold no "@": not X and X.json


def _write(path: Path, stored: Stored) -> None:
    _replace(_meta(path), asdict(stored))


def _replace(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(f".{secrets.token_hex(6)}")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def _read(path: Path) -> Stored | None:
    try:
        return Stored(**json.loads(_meta(path).read_text()))
    except FileNotFoundError:
        return None
