"""A version that was built from a revoked one shows it, over generations and in every listing."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from asyncpipe import catalog, metadata
from asyncpipe.catalog.page.columns import columns
from asyncpipe.catalog.page.gather import gather
from asyncpipe.cli import main
from asyncpipe.model.build import BuiltFrom, ParentVersion
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import Revocation
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD
from tests.metadata import documents as make

WHY = Revocation(reason="bad kernel", by="ann", revoked_utc="2026-11-24T10:00:00Z")


async def generations(store: ObjectStore) -> list[CatalogEntry]:
    """OLD, MIDDLE that was built from it, NEW that was built from MIDDLE."""
    made = []
    for timestamp, parent in ((OLD, None), (MIDDLE, OLD), (NEW, MIDDLE)):
        named = ParentVersion(version=f"debian12@{parent}") if parent else None
        document = make.published(timestamp=timestamp, built_from=BuiltFrom(parent=named))
        entry = catalog.entry_of(metadata.published(document))
        body = metadata.encode(document)
        await store.put(entry.metadata_key, body, content_type="application/json")
        await store.put(entry.xva.key, b"xva", content_type="x/x")
        await catalog.move_pointer(store, entry)
        made.append(entry)
    return made


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_all_descendants_of_a_revoked_version_are_found_even_when_it_was_pruned() -> None:
    store = MemoryStore()
    old, middle, new = await generations(store)
    assert await catalog.revoked_ancestors(store, [old, middle, new]) == {}
    await catalog.revoke(store, old, WHY)
    await store.delete(old.metadata_key)
    for entries in ([old, middle, new], [new, middle]):
        assert await catalog.revoked_ancestors(store, entries) == {
            middle.folder_key: f"debian12@{OLD}",
            new.folder_key: f"debian12@{OLD}",
        }


def test_list_show_and_page_mark_the_children_of_a_revoked_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(tmp_path))

    async def fill() -> None:
        store = DirectoryStore(tmp_path)
        old, *_ = await generations(store)
        await catalog.revoke(store, old, WHY)

    anyio.run(fill)
    assert main.run(["list", "debian12"]) == 0
    _, newest, middle, oldest = capsys.readouterr().out.splitlines()
    assert newest.endswith(f"BUILT FROM REVOKED debian12@{OLD}")
    assert middle.endswith(f"BUILT FROM REVOKED debian12@{OLD}")
    assert oldest.endswith("REVOKED")
    assert main.run(["list", "--json"]) == 0
    versions = json.loads(capsys.readouterr().out)["versions"]
    assert [one["revoked_ancestor"] for one in versions] == [f"debian12@{OLD}"] * 2 + [None]
    assert main.run(["show", f"debian12@{MIDDLE}"]) == 0
    assert f"debian12@{OLD}, which is REVOKED" in capsys.readouterr().out
    assert main.run(["show", "debian12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["revoked_ancestor"] == f"debian12@{OLD}"
    table = columns(anyio.run(gather, DirectoryStore(tmp_path)))["templates"][0]
    assert table["ancestors"] == [(0, f"debian12@{OLD}"), (1, f"debian12@{OLD}")]
