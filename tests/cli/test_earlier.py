from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from asyncpipe import catalog
from asyncpipe.cli.run.earlier import published_earlier
from asyncpipe.settings import Settings
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import NEW, put_version
from tests.run.services import plan_in

RUN = "https://github.com/example/images/actions/runs/42"
AGAIN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "example/images",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
}


@pytest.mark.anyio
async def test_a_variant_that_an_earlier_attempt_published_stands_for_no_other(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    entry = await put_version(store, NEW, short_id="debian12-web")
    build = replace(entry.build, unit="demo", run_url=f"{RUN}/attempts/1")
    await catalog.move_pointer(store, replace(entry, variant="web", build=build))
    settings = Settings.of({}, environment=AGAIN)
    for variant, found in (("web", ["demo"]), ("db", []), ("", [])):
        plans = [plan_in(tmp_path, variant=variant)]
        assert list(await published_earlier(settings, store, plans)) == found
