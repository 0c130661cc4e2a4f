"""Orphaned uploads and half-published folders at a store, whichever run left them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from asyncpipe.errors import ObjectMissingError, ObjectTooLargeError, UploadError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import decode_pointer
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.model.store import ObjectInfo, OpenUpload, UploadHandle
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.reap.findings import Finding, HasLifecycle, HasRemains, Kind, Reaped
from asyncpipe.text.format import moment_of, utc_text
from asyncpipe.text.safe import printable
from asyncpipe.upload.abort import abort_until_gone

_POINTER_BYTES: Final = 1024 * 1024


async def sweep(
    store: ObjectStore,
    *,
    before_utc: datetime,
    dry_run: bool,
    options: TransferOptions | None = None,
) -> Reaped:
    """Abort uploads and remove half-published folders of ours that began before ``before_utc``.

    Raises:
        UploadError: the store could not be listed.
    """
    bounds = options or TransferOptions()
    findings: list[Finding] = []
    for root in (*store_keys.ROOTS, store_keys.PROBE_ROOT):
        old = [one for one in await store.list_uploads(root) if _is_older(one, before_utc)]
        for one in old:
            found = await abort(store, one.handle, bounds, dry_run=dry_run)
            findings.append(replace(found, begun_utc=_begun_utc(one)))
    halves, claims, warnings = await _half_published(store, before_utc)
    findings += [await remove_folder(store, folder, dry_run=dry_run) for folder in halves]
    findings += [await remove_claim(store, folder, dry_run=dry_run) for folder in claims]
    findings += await _remove_probes(store, before_utc, dry_run=dry_run)
    if isinstance(store, HasRemains):  # last: what was removed just now leaves none
        remains = await store.remains(before_utc)
        findings += [await _remove_remains(store, path, dry_run=dry_run) for path in remains]
    return Reaped(findings=tuple(findings), warnings=(*warnings, *await _lifecycle_warnings(store)))


async def abort(
    store: ObjectStore, handle: UploadHandle, options: TransferOptions, *, dry_run: bool
) -> Finding:
    """Drop one upload until the store no longer knows it."""
    what = f"{store.url_of(printable(handle.key, 1024))} ({printable(handle.upload_id, 300)})"
    problem = "" if dry_run else await abort_until_gone(store, handle, options) or ""
    return Finding(
        kind=Kind.UPLOAD,
        what=what,
        removed=not dry_run and not problem,
        problem=problem,
        advice="asyncpipe reap --older-than 0s" if problem else "",
    )


async def remove_folder(store: ObjectStore, folder_key: str, *, dry_run: bool) -> Finding:
    """Remove what a publication left in a folder, unless it was completed meanwhile."""
    what, begun = store.url_of(folder_key), moment_of(folder_key.rpartition("/")[2])
    begun_utc, size_bytes = utc_text(begun) if begun else "", 0
    try:
        keys = []
        async for info in store.list(f"{folder_key}/"):
            if store_keys.parse_version_key(info.key):
                keys.append(info.key)
                size_bytes += info.size_bytes
        # whole after all: its publisher was only slow
        whole = store_keys.is_whole([key.rpartition("/")[2] for key in keys])
        for key in [] if dry_run or whole else keys:
            await store.delete(key)
        if not dry_run and not whole:
            await _leave_place(store, folder_key)
    except UploadError as error:
        problem = printable(error.message)
        return Finding(
            kind=Kind.FOLDER, what=what, removed=False, problem=problem, begun_utc=begun_utc
        )
    return Finding(
        kind=Kind.FOLDER,
        what=what,
        removed=not dry_run and not whole,
        stays=whole,
        begun_utc=begun_utc,
        size_bytes=size_bytes,
    )


async def remove_claim(store: ObjectStore, folder_key: str, *, dry_run: bool) -> Finding:
    """Remove the claim that a run left whose version is whole: nobody needs it any more."""
    key, problem = f"{folder_key}/{store_keys.CLAIM_NAME}", ""
    try:
        if not dry_run:
            await store.delete(key)
    except UploadError as error:
        problem = printable(error.message)
    removed = not dry_run and not problem
    return Finding(kind=Kind.CLAIM, what=store.url_of(key), removed=removed, problem=problem)


async def _leave_place(store: ObjectStore, folder_key: str) -> None:
    """Free a place that holds nothing but the note of who took it."""
    root, name, _ = folder_key.split("/")
    place = store_keys.place_key(name)
    keys = [info.key async for info in store.list(f"{root}/{name}/")]
    if keys == [place]:
        await store.delete(place)


async def _remove_probes(
    store: ObjectStore, before_utc: datetime, *, dry_run: bool
) -> list[Finding]:
    """Remove the objects of one byte by which killed runs asked what the store honours."""
    infos = [info async for info in store.list(store_keys.PROBE_ROOT)]
    findings = []
    for info in infos:
        touched_utc = _instant(info.modified_utc)
        if touched_utc is None or touched_utc >= before_utc:
            continue
        problem = ""
        try:
            if not dry_run:
                await store.delete(info.key)
        except UploadError as error:
            problem = printable(error.message)
        what = store.url_of(printable(info.key, 1024))
        findings.append(
            Finding(
                kind=Kind.PROBE,
                what=what,
                removed=not dry_run and not problem,
                problem=problem,
                begun_utc=utc_text(touched_utc),
                size_bytes=info.size_bytes,
            )
        )
    return findings


async def _remove_remains(store: HasRemains, path: str, *, dry_run: bool) -> Finding:
    problem = ""
    try:
        if not dry_run:
            await store.remove_remains(path)
    except UploadError as error:
        problem = printable(error.message)
    removed = not dry_run and not problem
    return Finding(kind=Kind.FILES, what=printable(path), removed=removed, problem=problem)


def _is_older(upload: OpenUpload, before_utc: datetime) -> bool:
    """Ours, and begun before the bound; where a store names no time, the key has one."""
    key = store_keys.parse_version_key(upload.handle.key)
    if key is None and not upload.handle.key.startswith(store_keys.PROBE_ROOT):
        return False
    begun = _begun(upload)
    return begun is not None and begun < before_utc


def _begun(upload: OpenUpload) -> datetime | None:
    key = store_keys.parse_version_key(upload.handle.key)
    return _instant(upload.initiated_utc) or (moment_of(key.timestamp) if key else None)


def _begun_utc(upload: OpenUpload) -> str:
    begun = _begun(upload)
    return utc_text(begun) if begun else ""


@dataclass(slots=True, kw_only=True)
class _Listed:
    """What lies below one root: files of each folder, when one last changed, the pointers."""

    names: dict[str, set[str]] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)
    pointers: dict[str, str] = field(default_factory=dict)  # key -> template

    def add(self, info: ObjectInfo, before_utc: datetime) -> None:
        key = store_keys.parse_version_key(info.key)
        if key is None:
            short_id = store_keys.parse_pointer_key(info.key)
            self.pointers |= {info.key: short_id} if short_id else {}
            return
        self.names.setdefault(key.folder_key, set()).add(key.name)
        touched = _instant(info.modified_utc) or moment_of(key.timestamp) or before_utc
        self.newest[key.folder_key] = max(touched, self.newest.get(key.folder_key, touched))


async def _half_published(
    store: ObjectStore, before_utc: datetime
) -> tuple[list[str], list[str], list[str]]:
    """Folders of ours, untouched since the bound: half published, and whole with a claim; warnings.

    Half published is what has no metadata.json and is named by nothing. A pointer that cannot be
    read may name any folder of its template: those stay, with a warning.
    """
    halves: list[str] = []
    claims: list[str] = []
    warnings: list[str] = []
    for root in store_keys.ROOTS:
        listed = _Listed()
        async for info in store.list(root):
            listed.add(info, before_utc)
        old = {key: one for key, one in listed.names.items() if listed.newest[key] < before_utc}
        found = [key for key, names in old.items() if not store_keys.is_whole(names)]
        claims += [
            key
            for key, names in old.items()
            if {store_keys.METADATA_NAME, store_keys.CLAIM_NAME} <= names
        ]
        named, unreadable = await _named_by(store, listed.pointers) if found else (set(), {})
        warnings += unreadable.values()
        halves += [
            folder
            for folder in found
            if folder not in named and folder.split("/")[1] not in unreadable
        ]
    return halves, claims, warnings


async def _named_by(
    store: ObjectStore, pointers: Mapping[str, str]
) -> tuple[set[str], dict[str, str]]:
    """Folders that pointers name, and what is wrong with a pointer, by template."""
    named: set[str] = set()
    unreadable: dict[str, str] = {}
    for key, short_id in pointers.items():
        try:
            body = (await store.get(key, max_bytes=_POINTER_BYTES)).body
            named.add(decode_pointer(body, short_id).folder_key)
        except ObjectMissingError:
            continue
        except (UnreadableError, NewerSchemaError, ObjectTooLargeError) as error:
            unreadable[short_id] = (
                f"{store.url_of(key)} cannot be read, so nothing of {short_id} was removed:"
                f" {error.message}"
            )
    return named, unreadable


async def _lifecycle_warnings(store: ObjectStore) -> tuple[str, ...]:
    if not isinstance(store, HasLifecycle):
        return ()
    try:
        days = await store.abort_rule_days()
    except UploadError as error:
        return (printable(error.message),)
    if days is not None:
        return ()
    warning = (
        f"{store.url} has no lifecycle rule that aborts incomplete multipart uploads: what a "
        "killed run leaves is billed until asyncpipe reap runs (AbortIncompleteMultipartUpload)"
    )
    return (warning,)


def _instant(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
