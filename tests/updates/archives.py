"""Small archives with signed indexes, served at 127.0.0.1, and versions published from them."""

from __future__ import annotations

import functools
import gzip
import hashlib
import lzma
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import createrepo_c as cr
from pysequoia import SignatureMode, Tsk, sign

from asyncpipe import catalog, metadata
from asyncpipe.stores.directory.store import DirectoryStore
from tests.metadata import documents as make

Row = tuple[str, str, str]  # name, version, architecture
DATE = "Thu, 26 Nov 2026 02:22:30 UTC"


class Signer:
    """A distribution's key, made for one test."""

    def __init__(self) -> None:
        self._secret: Any = Tsk.generate("Archive <archive@example.invalid>")
        self.key = bytes(self._secret.extract_certificate())

    def inline(self, text: bytes) -> bytes:
        return bytes(sign(self._secret.signer(), text, mode=SignatureMode.CLEAR))

    def detached(self, text: bytes) -> bytes:
        return bytes(sign(self._secret.signer(), text, mode=SignatureMode.DETACHED))


@dataclass(slots=True)
class Archive:
    """A served folder; ``asked`` are the paths of all requests."""

    folder: Path
    url: str = ""
    signer: Signer = field(default_factory=Signer)
    asked: list[str] = field(default_factory=list)

    @property
    def keyring(self) -> Path:
        path = self.folder.parent / "keys.gpg"
        path.write_bytes(self.signer.key)
        return path

    def suite(
        self,
        name: str,
        rows: Sequence[Row],
        *,
        root: str = "debian",
        packing: str = ".xz",
        by_hash: bool = True,
        fields: Mapping[str, str] | None = None,
        by: Signer | None = None,
    ) -> Path:
        """Write a suite in the syntax of Debian's archives; returns its folder."""
        folder = self.folder / root / "dists" / name
        plain = "".join(map(_stanza, rows)).encode()
        packed = {".xz": lzma.compress(plain), ".gz": gzip.compress(plain), "": plain}[packing]
        path = f"main/binary-amd64/Packages{packing}"
        digest = hashlib.sha256(packed).hexdigest()
        written = f"main/binary-amd64/by-hash/SHA256/{digest}" if by_hash else path
        _write(folder / written, packed)
        head = {
            "Origin": "Debian",
            "Suite": f"stable{name.partition('-')[1]}{name.partition('-')[2]}",
            "Codename": name,
            "Date": DATE,
            "Acquire-By-Hash": "yes" if by_hash else "no",
            "Architectures": "all amd64",
            # as Debian's security archive writes what lies in main/
            "Components": "updates/main" if name.endswith("-security") else "main",
            **(fields or {}),
        }
        release = "".join(f"{key}: {value}\n" for key, value in head.items())
        release += f"MD5Sum:\n {'0' * 32} {len(packed)} {path}\n"
        release += f"SHA256:\n {digest} {len(packed):>8} {path}\n"
        _write(folder / "InRelease", (by or self.signer).inline(release.encode()))
        return folder

    def repository(
        self,
        path: str,
        rows: Sequence[Row],
        *,
        fixes: Sequence[Row] = (),
        signed: bool = True,
        by: Signer | None = None,
    ) -> Path:
        """Write an RPM repository by createrepo_c."""
        folder = self.folder / path / "repodata"
        folder.mkdir(parents=True)
        repomd = cr.Repomd()
        primary = folder / "primary.xml.gz"
        with closing(cr.PrimaryXmlFile(str(primary), cr.GZ_COMPRESSION)) as file:
            file.set_num_of_pkgs(len(rows))
            for row in rows:
                file.add_pkg(_rpm(row))
        _record(repomd, "primary", primary)
        if fixes:
            advisories = folder / "updateinfo.xml.zst"
            with closing(cr.UpdateInfoXmlFile(str(advisories), cr.ZSTD_COMPRESSION)) as file:
                for row in fixes:
                    file.add_chunk(cr.xml_dump_updaterecord(_advisory(row)))
            _record(repomd, "updateinfo", advisories)
        body = repomd.xml_dump().encode()
        _write(folder / "repomd.xml", body)
        if signed:
            _write(folder / "repomd.xml.asc", (by or self.signer).detached(body))
        return folder


@contextmanager
def served(folder: Path) -> Iterator[Archive]:
    """Serve an archive below ``folder``."""
    archive = Archive(folder / "www")
    archive.folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            archive.asked.append(self.path)

    handler = functools.partial(Handler, directory=str(archive.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        archive.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield archive
        finally:
            server.shutdown()
            thread.join()


async def publish(
    destination: Path,
    packages: Sequence[Row],
    *,
    short_id: str = "debian12",
    timestamp: str = "20261123T170000Z",
    os: Mapping[str, object] | None = None,
    source: Mapping[str, object] | None = None,
) -> None:
    """Publish a version whose guest reported ``packages``."""
    store = DirectoryStore(destination)
    document: dict[str, Any] = dict(make.published(short_id=short_id, timestamp=timestamp))
    document["packages"] = [
        {"name": name, "version": version, "arch": arch} for name, version, arch in packages
    ]
    document["os"] = {**document["os"], **(os or {})}
    document["build"] = {
        **document["build"],
        "source": {**document["build"]["source"], **(source or {})},
    }
    entry = catalog.entry_of(metadata.published(document))
    await store.put(entry.xva.key, b"xva", content_type="x/x")
    body = metadata.encode(document)
    await store.put(entry.metadata_key, body, content_type="application/json")
    await catalog.move_pointer(store, entry)


def _stanza(row: Row) -> str:
    name, version, arch = row
    return (
        f"Package: {name}\nSource: {name}-source (1.0)\nVersion: {version}\n"
        f"Installed-Size: 12\nMaintainer: Somebody <somebody@example.invalid>\n"
        f"Architecture: {arch}\nDescription: it\n Version: 9999 of nothing\n .\n"
        f"Filename: pool/{name}.deb\nSHA256: {'0' * 64}\n\n"
    )


def _rpm(row: Row) -> Any:
    name, version, arch = row
    package = cr.Package()
    epoch, _, bare = version.rpartition(":")
    package.name, package.epoch, package.arch = name, epoch or "0", arch
    package.version, _, package.release = bare.partition("-")
    package.pkgId, package.checksum_type = "0" * 64, "sha256"
    package.location_href = f"Packages/{name}.rpm"
    return package


def _advisory(row: Row) -> Any:
    name, version, arch = row
    record = cr.UpdateRecord()
    record.type, record.id, record.title = "security", f"ALSA-{name}", name
    collection = cr.UpdateCollection()
    one = cr.UpdateCollectionPackage()
    epoch, _, bare = version.rpartition(":")
    one.name, one.epoch, one.arch = name, epoch or "0", arch
    one.version, _, one.release = bare.partition("-")
    collection.append(one)
    record.append_collection(collection)
    return record


def _record(repomd: Any, kind: str, path: Path) -> None:
    record = cr.RepomdRecord(kind, str(path))
    record.fill(cr.SHA256)
    repomd.set_record(record)


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
