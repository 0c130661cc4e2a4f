"""The page of the catalogue, as far as a parser of HTML sees it; tests/page has the browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from asyncpipe import catalog
from asyncpipe.catalog.keep import keep
from asyncpipe.catalog.page import Overview, gather, render
from asyncpipe.catalog.page.columns import MAX_CHANGES, columns
from asyncpipe.cli import main
from asyncpipe.errors import ConflictError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.release import End, Revocation
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MemoryStore
from tests.catalog import overviews
from tests.catalog.published import MIDDLE, NEW, OLD, RacingStore, publish

MOST_BYTES = 1_500_000


class Elements(HTMLParser):
    """Every element with its attributes, and the text in scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.found[-1] if self.found else ("", {})
        if tag in {"script", "style"}:
            name = f"{tag} {attributes.get('type', '')}".strip()
            self.inside[name] = self.inside.get(name, "") + data


def rendered(overview: Overview, destination: str = "s3://images/prod") -> bytes:
    return render(
        overview,
        destination=destination,
        base_url="",
        made_utc="2026-11-24T08:00:00.000Z",
        version="1.0",
    )


def data_of(page: bytes) -> Any:
    return json.loads(Elements(page).inside["script application/json"].rpartition("}")[0] + "}")


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    elements = Elements(rendered(overviews.many(1, 2)))
    policy = next(
        str(attributes["content"])
        for tag, attributes in elements.found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    page = rendered(overviews.many(1, 2)).decode()
    for kind, text in (
        ("script", re.findall(r"<script>(.*?)</script>", page, re.DOTALL)),
        ("style", re.findall(r"<style>(.*?)</style>", page, re.DOTALL)),
    ):
        assert len(text) == 1
        digest = base64.b64encode(hashlib.sha256(text[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for _, attributes in Elements(rendered(overviews.many(2, 2))).found:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert (attributes.get(name) or "").startswith(("data:", "#")) or name not in attributes


def test_hostile_text_adds_no_element_and_ends_no_script() -> None:
    ordinary = Elements(rendered(overviews.many(len(overviews.HOSTILE), 3)))
    page = rendered(overviews.hostile(), destination=overviews.HOSTILE[1])
    elements = Elements(page)
    assert [tag for tag, _ in elements.found] == [tag for tag, _ in ordinary.found]
    table = data_of(page)["templates"][1]
    assert table["name"] == overviews.HOSTILE[1]
    assert "run_prefix" not in table  # it is no address: no link leads there
    assert "\u202e" not in page.decode()


def test_a_link_to_a_run_is_made_of_http_addresses_only() -> None:
    view = overviews.view("debian12", 1, text="javascript:alert(1)")
    assert "runs" not in columns(Overview(templates=(view,)))["templates"][0]
    runs = columns(overviews.many(1, 3))["templates"][0]
    assert runs["run_prefix"] + runs["runs"][0] == "https://ci.example/runs/170000"


@pytest.mark.parametrize(("templates", "versions"), [(1, 10_000), (40, 250), (3_000, 1)])
def test_ten_thousand_versions_stay_below_a_megabyte_and_a_half(
    templates: int, versions: int
) -> None:
    overview = overviews.many(templates, versions)
    page = rendered(overview)
    assert len(page) < MOST_BYTES
    data = data_of(page)
    shown = sum(len(table["times"]) for table in data["templates"])
    assert shown == overview.version_count or data["templates_left_out"] > 0


def test_what_does_not_fit_is_counted_on_the_page() -> None:
    data = data_of(rendered(overviews.many(3, 6_000)))
    for table in data["templates"]:
        assert table["count"] == 6_000
        assert 0 < len(table["times"]) < 6_000


def test_packages_are_left_out_before_versions_and_changes_are_bounded() -> None:
    data = columns(overviews.many(30, 2, packages=4_000))
    with_packages = [table for table in data["templates"] if "packages" in table]
    assert 0 < len(with_packages) < 30
    for table in data["templates"]:
        assert table["facts"]["packages"] == 4_000
        assert len(table["changes"]["packages"]) == MAX_CHANGES
        assert table["changes"]["changed"] == 4_000


@pytest.mark.anyio
async def test_the_newest_good_version_is_current_and_a_revoked_one_is_marked() -> None:
    store = MemoryStore()
    for timestamp in (OLD, MIDDLE):
        await publish(store, timestamp)
    newest = await publish(store, NEW)
    why = Revocation(reason="its sshd is broken", by="ops", revoked_utc=None)
    await catalog.revoke(store, newest, why)
    table = columns(await gather(store))["templates"][0]
    assert table["current"] == 1
    assert table["revoked"] == [(0, "its sshd is broken")]
    assert table["changes"]["known"]


@pytest.mark.anyio
async def test_an_expired_version_is_marked_and_not_current() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    newest = await publish(store, NEW)
    end = End(
        expires_utc="2026-11-25T00:00:00Z", by="ops", reason="", set_utc="2026-11-24T00:00:00Z"
    )
    await catalog.set_end(store, newest, end)
    table = columns(await gather(store))["templates"][0]
    assert table["current"] == 1
    assert table["expires"] == [(0, 1_795_564_800)]


@pytest.mark.anyio
async def test_metadata_that_cannot_be_read_is_a_warning_on_the_page() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW)
    await store.put(entry.metadata_key, b"{", content_type="application/json")
    data = data_of(rendered(await gather(store)))
    assert "is unreadable" in data["warnings"][0]
    assert data["templates"][0]["id"] == "debian12"


@pytest.mark.anyio
async def test_an_empty_destination_has_a_page_too() -> None:
    assert data_of(rendered(await gather(MemoryStore())))["templates"] == []


@pytest.mark.anyio
async def test_a_page_that_another_run_wrote_meanwhile_is_made_again() -> None:
    store = RacingStore()
    store.faster = [(store_keys.PAGE_KEY, b"of the other run")]
    made: list[bytes] = []

    async def make() -> bytes:
        made.append(b"page %d" % len(made))
        return made[-1]

    await keep(store, store_keys.PAGE_KEY, make, content_type="text/html")
    assert made == [b"page 0", b"page 1"]
    assert (await store.get(store_keys.PAGE_KEY, max_bytes=99)).body == b"page 1"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_a_page_that_others_write_each_time_is_given_up_with_its_name() -> None:
    store = RacingStore()
    store.faster = [(store_keys.PAGE_KEY, b"%d" % n) for n in range(9)]

    async def make() -> bytes:
        return b"page"

    with pytest.raises(ConflictError, match=r"index\.html"):
        await keep(store, store_keys.PAGE_KEY, make, content_type="text/html")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three versions of debian12; it is the default destination."""
    folder = tmp_path / "it's published"
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(folder))
    monkeypatch.chdir(tmp_path)

    async def fill() -> None:
        store = DirectoryStore(folder)
        for timestamp in (OLD, MIDDLE, NEW):
            await publish(store, timestamp, body=timestamp.encode())

    anyio.run(fill)
    return folder


def test_a_page_in_a_file_links_to_where_the_objects_are(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["page", "-o", "page.html", "--base-url", "https://images.example/x"]) == 0
    assert "1 template, 3 versions" in capsys.readouterr().out
    data = data_of(Path("page.html").read_bytes())
    assert data["base_url"] == "https://images.example/x/"
    assert data["destination"] == str(shelf)
    assert main.run(["page", "-o", "page.html"]) == 0
    assert data_of(Path("page.html").read_bytes())["base_url"].startswith("file:///")


@pytest.mark.parametrize(
    "arguments", [["--publish", "-o", "x"], ["--base-url", "javascript:alert(1)"]]
)
@pytest.mark.usefixtures("shelf")
def test_options_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    assert main.run(["page", *arguments]) == 2


def test_a_published_page_links_to_its_bill_and_follows_a_revocation(shelf: Path) -> None:
    assert main.run(["page", "--publish"]) == 0
    page = shelf / "index.html"
    table = data_of(page.read_bytes())["templates"][0]
    assert table["sbom"]
    bill = json.loads((shelf / f"templates/debian12/{NEW}/sbom.cdx.json").read_bytes())
    assert [one["name"] for one in bill["components"]] == ["bash", "libc6"]
    assert main.run(["revoke", f"debian12@{NEW}", "--reason", "it does not boot"]) == 0
    table = data_of(page.read_bytes())["templates"][0]
    assert table["current"] == 1
    assert table["names"] == [[1, ["latest"]]]


@pytest.mark.usefixtures("shelf")
def test_nothing_is_published_by_a_change_where_no_page_was(shelf: Path) -> None:
    assert main.run(["promote", "debian12", "--channel", "stable"]) == 0
    assert not (shelf / "index.html").exists()


@pytest.mark.usefixtures("shelf")
def test_prune_removes_the_bill_with_its_version(shelf: Path) -> None:
    assert main.run(["page", "--publish"]) == 0
    folder = shelf / f"templates/debian12/{NEW}"
    assert (folder / "sbom.cdx.json").exists()
    assert main.run(["revoke", f"debian12@{NEW}", "--reason", "bad"]) == 0

    async def remove() -> None:
        store = DirectoryStore(shelf)
        await catalog.prune(store, await catalog.plan_pruning(store, keep=1))

    anyio.run(remove)
    assert not folder.exists()
    assert len(list((shelf / "templates/debian12").glob("*/sbom.cdx.json"))) == 1
