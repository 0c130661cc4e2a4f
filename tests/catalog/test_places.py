"""A place is filled by one template: who comes second is refused, with the ways out."""

from __future__ import annotations

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.catalog import Claimant, leave_place, look_at_place, take_place
from asyncpipe.errors import DestinationTakenError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import (
    Filler,
    decode_place,
    encode_place,
    repository_of,
)
from asyncpipe.model.documents.fields import NewerSchemaError
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD, UNGUARDED, RacingStore, publish

pytestmark = pytest.mark.anyio
KEY = store_keys.place_key("debian12")
WEB = Filler(repository="github.com/example/images", path="web/debian-12")
DB = Filler(repository="github.com/example/images", path="db/debian-12")


def of(template: Filler, timestamp: str = NEW, *, take_over: bool = False) -> Claimant:
    return Claimant(template=template, timestamp=timestamp, take_over=take_over)


async def filler(store: MemoryStore) -> Filler:
    return decode_place((await store.get(KEY, max_bytes=9999)).body).template


async def test_the_first_template_gets_the_place_and_keeps_it() -> None:
    store = MemoryStore()
    assert await take_place(store, "debian12", of(WEB)) == ()
    assert await take_place(store, "debian12", of(WEB)) == ()
    assert await filler(store) == WEB


@pytest.mark.parametrize("unguarded", [False, True])
async def test_another_template_is_refused_and_told_both_ways_out(*, unguarded: bool) -> None:
    store = MemoryStore(capabilities=UNGUARDED) if unguarded else MemoryStore()
    await take_place(store, "debian12", of(WEB, OLD))
    await publish(store, OLD)
    for refuse in (take_place, look_at_place):
        with pytest.raises(DestinationTakenError) as caught:
            await refuse(store, "debian12", of(DB))
        assert "web/debian-12 of github.com/example/images" in caught.value.message
        assert "--variant" in caught.value.hint
        assert "--take-over" in caught.value.hint
        assert caught.value.exit_code == 43
    assert await filler(store) == WEB


async def test_a_variant_of_the_system_is_another_place() -> None:
    store = MemoryStore()
    await take_place(store, "debian12", of(WEB))
    await publish(store, OLD)
    assert await take_place(store, "debian12-db", of(DB)) == ()


@pytest.mark.parametrize("unguarded", [False, True])
async def test_a_place_taken_over_is_said_to_be_and_stays_so(*, unguarded: bool) -> None:
    store = MemoryStore(capabilities=UNGUARDED) if unguarded else MemoryStore()
    await take_place(store, "debian12", of(WEB, OLD))
    await publish(store, OLD)
    warnings = await take_place(store, "debian12", of(DB, take_over=True))
    assert "was taken over from web/debian-12" in warnings[0]
    assert any("compare-and-swap" in text for text in warnings) is unguarded
    assert await take_place(store, "debian12", of(DB)) == ()
    with pytest.raises(DestinationTakenError, match="db/debian-12"):
        await take_place(store, "debian12", of(WEB))


async def test_a_place_where_nothing_came_to_be_is_free() -> None:
    store = MemoryStore()
    await take_place(store, "debian12", of(WEB, OLD))  # its build failed, its claim is gone
    await look_at_place(store, "debian12", of(DB))
    await store.put(f"templates/debian12/{NEW}/claim.json", b"{}", content_type="x/x")  # DB's own
    assert await take_place(store, "debian12", of(DB, NEW)) == ()
    assert await filler(store) == DB


async def test_a_first_run_that_published_nothing_leaves_no_trace() -> None:
    store = MemoryStore()
    await take_place(store, "debian12", of(WEB))
    claim = f"templates/debian12/{NEW}/claim.json"
    await store.put(claim, b"{}", content_type="x/x")
    await leave_place(store, "debian12", of(WEB))
    assert set(store.objects) == {claim}


async def test_a_place_that_was_there_before_or_is_in_use_is_not_given_back() -> None:
    store = MemoryStore()
    await take_place(store, "debian12", of(WEB, OLD))
    await leave_place(store, "debian12", of(WEB, NEW))  # an earlier run took it
    await leave_place(store, "debian12", of(DB, OLD))
    assert await filler(store) == WEB
    await store.put(f"templates/debian12/{MIDDLE}/claim.json", b"{}", content_type="x/x")
    await leave_place(store, "debian12", of(WEB, OLD))  # another run of it builds meanwhile
    assert await filler(store) == WEB


async def test_a_place_in_which_another_run_builds_is_not_free() -> None:
    store = MemoryStore()
    await take_place(store, "debian12", of(WEB, MIDDLE))
    await store.put(f"templates/debian12/{MIDDLE}/claim.json", b"{}", content_type="x/x")
    with pytest.raises(DestinationTakenError):
        await take_place(store, "debian12", of(DB, NEW))


async def test_of_two_first_builds_at_once_one_is_refused() -> None:
    store = RacingStore()
    store.faster.append((KEY, encode_place(WEB, NEW)))
    with pytest.raises(DestinationTakenError, match="web/debian-12"):
        await take_place(store, "debian12", of(DB))
    assert await filler(store) == WEB


async def test_the_same_template_at_once_is_no_conflict() -> None:
    store = RacingStore()
    store.faster.append((KEY, encode_place(WEB, NEW)))
    assert await take_place(store, "debian12", of(WEB)) == ()


async def test_places_from_before_belong_to_who_built_their_latest_version() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    entry = await catalog.latest(store, "debian12")
    theirs = Filler(repository=None, path=entry.build.template)
    with pytest.raises(DestinationTakenError, match="another template"):
        await take_place(store, "debian12", of(DB))
    assert await take_place(store, "debian12", of(theirs)) == ()
    from_the_top = replace_path(theirs, f"images/{theirs.path}")  # it was built in images/
    other = MemoryStore()
    await publish(other, OLD)
    assert await take_place(other, "debian12", of(from_the_top)) == ()


async def test_a_place_from_before_is_taken_over_when_asked() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    warnings = await take_place(store, "debian12", of(DB, take_over=True))
    assert "was taken over" in warnings[0]
    assert await filler(store) == DB


async def test_a_damaged_document_is_replaced_with_a_warning() -> None:
    store = MemoryStore()
    await store.put(KEY, b"{", content_type="application/json")
    (warning,) = await take_place(store, "debian12", of(WEB))
    assert "was unreadable and was replaced" in warning
    assert await filler(store) == WEB


async def test_a_newer_document_is_left_as_it_is() -> None:
    store = MemoryStore()
    body = b'{"schema_version": 2}'
    await store.put(KEY, body, content_type="application/json")
    with pytest.raises(NewerSchemaError, match=r"place\.json cannot be read"):
        await take_place(store, "debian12", of(WEB))
    assert (await store.get(KEY, max_bytes=99)).body == body


async def test_what_was_not_known_of_a_template_is_added_and_then_counts() -> None:
    store = MemoryStore()
    await take_place(store, "debian12", of(replace_path(WEB, "x", repository=None)))
    await publish(store, OLD)
    exact = Filler(repository="github.com/example/images", path="x", build="null.uefi")
    await take_place(store, "debian12", of(exact))
    assert await filler(store) == exact
    for other in (
        Filler(repository="github.com/other/images", path="x"),
        Filler(repository=None, path="x", build="null.bios"),
    ):
        with pytest.raises(DestinationTakenError):
            await take_place(store, "debian12", of(other))


async def test_a_template_of_one_name_in_another_repository_is_another() -> None:
    store = MemoryStore()
    await take_place(store, "debian12", of(WEB))
    await publish(store, OLD)
    fork = Filler(repository="git.example.org/team/images", path=WEB.path)
    with pytest.raises(DestinationTakenError):
        await take_place(store, "debian12", of(fork))


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/example/images",
        "https://github.com/example/images.git",
        "https://github.com/example/images/",
        "https://user@GitHub.com/example/images",
        "git@github.com:example/images.git",
        "github.com:example/images.git",
        "ssh://git@github.com:22/example/images",
        "git://github.com/example/images.git",
    ],
)
def test_a_repository_has_one_name_however_its_remote_is_spelled(remote: str) -> None:
    assert repository_of(remote) == "github.com/example/images"


def test_repositories_that_differ_keep_different_names() -> None:
    remotes = ["https://a.org/x/y", "https://b.org/x/y", "https://a.org/x/z", "/srv/git/x.git"]
    names = {repository_of(remote) for remote in remotes}
    assert len(names) == 4
    assert repository_of(None) is None
    assert repository_of("") is None


async def test_two_templates_that_race_leave_one_winner() -> None:
    store = MemoryStore()
    refused: list[Filler] = []

    async def want(template: Filler, timestamp: str) -> None:
        claim = f"templates/debian12/{timestamp}/claim.json"
        await store.put(claim, b"{}", content_type="x/x")
        try:
            await take_place(store, "debian12", of(template, timestamp))
        except DestinationTakenError:
            refused.append(template)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(want, WEB, OLD)
        tasks.start_soon(want, DB, NEW)
    assert len(refused) == 1
    assert await filler(store) in {WEB, DB} - set(refused)


def replace_path(template: Filler, path: str, **changes: str | None) -> Filler:
    values = {"repository": template.repository, "build": template.build, "path": path, **changes}
    return Filler(**values)  # type: ignore[arg-type]
