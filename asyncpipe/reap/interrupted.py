"""Finish one interrupted run, from its journal and its folder.

The journal comes from a disk that a job can write to, so no path or key in it is believed: files
are removed inside the run's folder only, keys must have the shape of ours and the run's timestamp.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.errors import UploadError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.run_state import KnownRun
from asyncpipe.model.store import UploadHandle
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.reap import at_host, host_boots, local
from asyncpipe.reap.at_host import OpenHost
from asyncpipe.reap.findings import Finding, Groups, Kind, Reaped
from asyncpipe.reap.stored import abort, remove_claim, remove_folder
from asyncpipe.text.format import moment_of, utc_text
from asyncpipe.text.safe import printable
from asyncpipe.upload.journal import read_journal

UPLOAD_JOURNAL_NAME: Final = "upload.json"


async def reap_run(
    run: KnownRun,
    store: ObjectStore,
    groups: Groups,
    *,
    dry_run: bool,
    keep_files: bool = False,
    grace_s: float = 10.0,
    options: TransferOptions | None = None,
    open_host: OpenHost | None = None,
) -> Reaped:
    """Finish an interrupted run: stop what runs, abort its uploads, remove half of what it wrote.

    Published versions stay. Built XVAs that ``--resume`` can publish stay. At the host goes what
    the run made; without ``open_host`` it is named.
    """
    findings = [
        *await end_builds(run, groups, open_host, grace_s=grace_s, dry_run=dry_run),
        *await _store_part(run, store, options or TransferOptions(), dry_run=dry_run),
        *([] if keep_files else await local.remove_files(run, dry_run=dry_run)),
        *local.damage(run),
    ]
    return Reaped(findings=tuple(_dated(one, run) for one in findings))


def _dated(finding: Finding, run: KnownRun) -> Finding:
    """What the run made is at most as old as the run."""
    begun = moment_of(run.record.timestamp)
    if finding.begun_utc or begun is None:
        return finding
    return replace(finding, begun_utc=utc_text(begun))


async def end_builds(
    run: KnownRun,
    groups: Groups,
    open_host: OpenHost | None,
    *,
    grace_s: float,
    dry_run: bool,
) -> list[Finding]:
    """Stop the Packers of a run that is dead and remove what they made at the host."""
    stopped, said = await local.stop_processes(run, groups, grace_s=grace_s, dry_run=dry_run)
    found = await at_host.clean(run, said, open_host, dry_run=dry_run)  # reads them
    logs = await local.remove_debug_logs(run, dry_run=dry_run)
    folders = await anyio.to_thread.run_sync(local.boot_folders, run)
    booted = await host_boots.clean(folders, open_host, dry_run=dry_run)
    disks = await local.remove_boot_files(run, folders, dry_run=dry_run)
    return [*stopped, *found, *logs, *booted, *disks]


async def _store_part(
    run: KnownRun, store: ObjectStore, options: TransferOptions, *, dry_run: bool
) -> list[Finding]:
    """Uploads and folders of this run; a store that does not answer is one finding."""
    try:
        handles = {handle.upload_id: handle for handle in await _journaled_uploads(run, store)}
        folders = _folders_of(run)
        for root in store_keys.ROOTS:
            for upload in await store.list_uploads(root):
                key = store_keys.parse_version_key(upload.handle.key)
                if key is not None and key.folder_key in folders:
                    handles[upload.handle.upload_id] = upload.handle
        found = [await abort(store, one, options, dry_run=dry_run) for one in handles.values()]
        for folder in sorted(folders):
            names = [info.key.rpartition("/")[2] async for info in store.list(f"{folder}/")]
            if names and not store_keys.is_whole(names):
                found.append(await remove_folder(store, folder, dry_run=dry_run))
            elif store_keys.CLAIM_NAME in names:
                found.append(await remove_claim(store, folder, dry_run=dry_run))
    except UploadError as error:
        advice = f"asyncpipe reap --run {run.folder}"
        problem = printable(error.message)
        return [
            Finding(kind=Kind.UPLOAD, what=store.url, removed=False, problem=problem, advice=advice)
        ]
    return found


async def _journaled_uploads(run: KnownRun, store: ObjectStore) -> list[UploadHandle]:
    """Uploads of this run by its journals, if the store still has them."""
    noted: list[UploadHandle] = []
    for path in await anyio.to_thread.run_sync(_upload_journals, run.folder):
        entry = await read_journal(path)
        if entry is not None and entry.store_url == store.url:
            noted.append(UploadHandle(key=entry.key, upload_id=entry.upload_id))
    open_ids = {
        upload.handle.upload_id
        for root in store_keys.ROOTS
        for upload in await store.list_uploads(root)
    }
    ours = [handle for handle in noted if _is_of_run(handle.key, run.record.timestamp)]
    return [handle for handle in ours if handle.upload_id in open_ids]


def _upload_journals(folder: Path) -> list[Path]:
    own = folder / UPLOAD_JOURNAL_NAME  # of asyncpipe publish, which has no folder of a unit
    return [*([own] if own.is_file() else []), *sorted(folder.glob(f"*/{UPLOAD_JOURNAL_NAME}"))]


def _is_of_run(key: str, timestamp: str) -> bool:
    parsed = store_keys.parse_version_key(key)
    return parsed is not None and parsed.timestamp == timestamp


def _folders_of(run: KnownRun) -> frozenset[str]:
    """Folders the run may have written to: other runs may share its timestamp, not its units."""
    units = run.record.units.values()
    named = [key for unit in units for key in (unit.folder_key, unit.claimed_key)]
    failed = [store_keys.failed_folder_key(unit, run.record.timestamp) for unit in run.record.units]
    return frozenset(
        key
        for key in (*named, *failed)
        if store_keys.is_folder(key) and key.rpartition("/")[2] == run.record.timestamp
    )
