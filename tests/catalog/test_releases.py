"""Channels with a history, and versions that are taken back: no name leads to a revoked one."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from asyncpipe import catalog
from asyncpipe.cli import main
from asyncpipe.errors import AsyncpipeError, ObjectMissingError, TransientStoreError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import End, Revocation
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD, UNGUARDED, FailingStore, publish

pytestmark = pytest.mark.anyio
PAST = End(expires_utc="2026-11-24T10:00:00Z", by="ann", reason="", set_utc="2026-11-23T10:00:00Z")
NO_END = End(expires_utc=None, by="ann", reason="", set_utc="2026-11-23T10:00:00Z")
BAD_KERNEL = Revocation(reason="bad kernel", by="ann", revoked_utc="2026-11-24T10:00:00Z")


def why(number: int = 0, reason: str = "tested") -> catalog.Why:
    return catalog.Why(
        by="ann",
        reason=reason,
        moved_utc=f"2026-11-24T10:00:{number:02}Z",
        timestamp=f"20261124T1000{number:02}Z",
    )


async def three(store: MemoryStore) -> list[CatalogEntry]:
    return [await publish(store, stamp) for stamp in (OLD, MIDDLE, NEW)]


async def test_names_that_lead_to_a_revoked_version_lead_to_the_newest_good_one_before() -> None:
    store = MemoryStore()
    old, middle, new = await three(store)
    await catalog.move_channel(store, "stable", new, why())
    assert await catalog.revoke(store, new, BAD_KERNEL)
    warnings: list[str] = []
    assert await catalog.resolve(store, "debian12", warn=warnings.append) == middle
    assert await catalog.resolve(store, "debian12:stable", warn=warnings.append) == middle
    assert len(warnings) == 2
    assert "bad kernel" in warnings[0]
    await catalog.revoke(store, middle, BAD_KERNEL)
    assert await catalog.resolve(store, "debian12") == old
    await catalog.revoke(store, old, BAD_KERNEL)
    with pytest.raises(UsageError, match="no older version is good"):
        await catalog.resolve(store, "debian12")


async def test_a_channel_never_goes_forward_because_of_a_revocation() -> None:
    store = MemoryStore()
    old, middle, _ = await three(store)
    await catalog.move_channel(store, "stable", middle, why())
    await catalog.revoke(store, middle, BAD_KERNEL)
    assert await catalog.resolve(store, "debian12:stable") == old


async def test_a_revoked_version_is_taken_only_when_that_is_asked_for() -> None:
    store = MemoryStore()
    *_, new = await three(store)
    await catalog.revoke(store, new, BAD_KERNEL)
    with pytest.raises(UsageError, match="was revoked by ann: bad kernel"):
        await catalog.resolve(store, f"debian12@{NEW}")
    assert await catalog.resolve(store, f"debian12@{NEW}", revoked=True) == new


async def test_a_revocation_that_cannot_be_read_counts() -> None:
    store = MemoryStore()
    await three(store)
    key = store_keys.revoked_key("debian12", NEW)
    await store.put(key, b'{"schema_version": 1, "revocation": 5}', content_type="x/x")
    with pytest.raises(UsageError, match="cannot be read"):
        await catalog.resolve(store, f"debian12@{NEW}")


async def test_the_first_revocation_stays_and_outlives_its_version() -> None:
    store = MemoryStore()
    *_, new = await three(store)
    assert await catalog.revoke(store, new, BAD_KERNEL)
    other = Revocation(reason="other", by="bob", revoked_utc=None)
    assert not await catalog.revoke(store, new, other)
    found = await catalog.revocation_of(store, new)
    assert found == BAD_KERNEL
    await catalog.prune(store, await catalog.plan_pruning(store, keep=1))
    assert await catalog.revoked_folders(store) == {new.folder_key}


async def test_names_that_lead_to_an_expired_version_lead_to_the_newest_good_one_before() -> None:
    store = MemoryStore()
    _, middle, new = await three(store)
    await catalog.move_channel(store, "stable", new, why())
    await catalog.set_end(store, new, PAST)
    warnings: list[str] = []
    for name in ("debian12", "debian12:stable"):
        assert await catalog.resolve(store, name, warn=warnings.append) == middle
    assert "expired at 2026-11-24T10:00:00Z" in warnings[0]
    with pytest.raises(UsageError, match="expired at"):
        await catalog.resolve(store, f"debian12@{NEW}")
    assert await catalog.resolve(store, f"debian12@{NEW}", expired=True) == new
    await catalog.revoke(store, new, BAD_KERNEL)
    with pytest.raises(UsageError, match="bad kernel"):
        await catalog.resolve(store, f"debian12@{NEW}", expired=True)


async def test_the_end_of_the_metadata_holds_unless_a_mark_moves_it() -> None:
    store = MemoryStore()
    *_, new = await three(store)
    ended = msgspec.structs.replace(new, expires_utc="2026-11-24T10:00:00Z")
    assert (await catalog.standing_of(store, ended)).is_expired
    assert not (await catalog.standings(store)).is_good(ended)
    await catalog.set_end(store, ended, NO_END)
    assert (await catalog.standing_of(store, ended)).is_good
    assert (await catalog.standings(store)).is_good(ended)


async def test_an_end_that_cannot_be_read_has_passed() -> None:
    store = MemoryStore()
    *_, new = await three(store)
    await store.put(store_keys.expiry_key("debian12", NEW), b"?", content_type="x/x")
    assert not (await catalog.standing_of(store, new)).is_good
    with pytest.raises(UsageError, match="has an end that cannot be read"):
        await catalog.resolve(store, f"debian12@{NEW}")


async def test_pruning_keeps_good_versions_and_what_a_bad_one_falls_back_to() -> None:
    store = MemoryStore()
    made = [await publish(store, f"2026110{day}T000000Z") for day in range(1, 8)]
    await catalog.move_channel(store, "stable", made[2], why())
    await catalog.set_end(store, made[2], PAST)
    await catalog.revoke(store, made[6], BAD_KERNEL)
    pruning = await catalog.plan_pruning(store, keep=2)
    assert [entry.timestamp[6:8] for entry in pruning.remove] == ["04", "01"]
    assert [(entry.timestamp[6:8], reason) for entry, reason in pruning.protected] == [
        ("07", "latest"),
        ("03", "channel stable"),
        ("02", "channel stable falls back to it"),
    ]
    await catalog.prune(store, pruning)
    assert await catalog.resolve(store, "debian12:stable") == made[1]
    assert await catalog.resolve(store, "debian12") == made[5]


async def test_history_says_who_moved_what_from_where_to_where_and_why() -> None:
    store = MemoryStore()
    old, middle, _ = await three(store)
    await catalog.move_channel(store, "stable", old, why(1, "first"))
    await catalog.move_channel(store, "stable", middle, why(2, "boots"))
    await catalog.move_channel(store, "stable", middle, why(3, "again"))  # changes nothing
    await catalog.move_channel(store, "testing", middle, why(4))
    found = await catalog.history(store, "debian12", "stable")
    assert [(move.before, move.after, move.reason) for move in found.moves] == [
        (OLD, MIDDLE, "boots"),
        (None, OLD, "first"),
    ]
    assert len((await catalog.history(store, "debian12")).moves) == 3


async def test_a_bad_entry_of_the_history_is_named_and_the_others_are_shown() -> None:
    store = MemoryStore()
    old, *_ = await three(store)
    await catalog.move_channel(store, "stable", old, why())
    key = store_keys.history_key("debian12", "stable", NEW, "00000000")
    await store.put(key, b"{", content_type="x/x")
    found = await catalog.history(store, "debian12")
    assert len(found.moves) == 1
    assert key in found.warnings[0]


async def test_rollback_finds_the_last_good_version_that_the_channel_named() -> None:
    store = MemoryStore()
    old, middle, new = await three(store)
    for number, entry in enumerate((old, middle, new)):
        await catalog.move_channel(store, "stable", entry, why(number))
    assert await catalog.before(store, "debian12", "stable") == middle
    await catalog.revoke(store, middle, BAD_KERNEL)
    assert await catalog.before(store, "debian12", "stable") == old
    await catalog.move_channel(store, "stable", old, why(9, "rolled back"))
    await catalog.revoke(store, new, BAD_KERNEL)
    with pytest.raises(UsageError, match="no other version"):
        await catalog.before(store, "debian12", "stable")
    with pytest.raises(ObjectMissingError):
        await catalog.before(store, "debian12", "testing")


async def test_a_channel_is_not_moved_when_the_change_cannot_be_remembered() -> None:
    store = MemoryStore()
    old, middle, _ = await three(store)
    await catalog.move_channel(store, "stable", old, why())
    store.fail("put", TransientStoreError("the store is away"))
    with pytest.raises(TransientStoreError):
        await catalog.move_channel(store, "stable", middle, why(1))
    assert await catalog.resolve(store, "debian12:stable") == old


ACTIONS = ["promote", "rollback", "revoke", "publish", "expire", "revive", "prune", "repair"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS),
        st.sampled_from(["stable", "testing"]),
        st.integers(0, 5),
        st.one_of(st.none(), st.integers(0, 20)),  # calls until the store is away
    ),
    max_size=10,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, guarded=st.booleans())
def test_whatever_happens_no_name_leads_to_a_bad_or_missing_version(
    steps: list[Any], guarded: bool
) -> None:
    _run(steps, guarded=guarded)


@pytest.mark.heavy("random")
@pytest.mark.timeout(1800)
def test_whatever_happens_in_five_thousand_histories_no_name_leads_astray() -> None:
    @settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS, guarded=st.booleans())
    def histories(steps: list[Any], guarded: bool) -> None:
        _run(steps, guarded=guarded)

    histories()


def _run(steps: list[Any], *, guarded: bool) -> None:
    """Pauses take no time on trio's clock."""
    clock = {"clock": MockClock(autojump_threshold=0)}
    anyio.run(_any_steps, steps, guarded, backend="trio", backend_options=clock)


class _Shelf:
    """A store, what was published on it, and what must not be found."""

    def __init__(self, *, guarded: bool) -> None:
        self.store = FailingStore() if guarded else FailingStore(capabilities=UNGUARDED)
        self.published: dict[str, CatalogEntry] = {}
        self.revoked: set[str] = set()
        self.expired: set[str] = set()

    async def act(self, what: str, channel: str, stamp: str, number: int) -> None:
        entry = self.published.get(stamp)
        if what == "publish" and entry is None:
            self.published[stamp] = await publish(self.store, stamp)
        elif what == "promote" and entry is not None:
            entry = await catalog.resolve(self.store, f"debian12@{stamp}")
            await catalog.move_channel(self.store, channel, entry, why(number))
        elif what == "rollback":
            target = await catalog.before(self.store, "debian12", channel)
            await catalog.move_channel(self.store, channel, target, why(number))
        elif what == "revoke" and entry is not None:
            await catalog.revoke(self.store, entry, BAD_KERNEL)
            self.revoked.add(stamp)
        elif what in {"expire", "revive"} and entry is not None:
            self.expired.discard(stamp)
            await catalog.set_end(self.store, entry, PAST if what == "expire" else NO_END)
            self.expired |= {stamp} if what == "expire" else set()
        elif what == "prune":
            await catalog.prune(self.store, await catalog.plan_pruning(self.store, keep=2))
        elif what == "repair":
            await catalog.repair(self.store)

    async def names(self) -> dict[str, str]:
        """To which version each name leads, if to one."""
        found: dict[str, str] = {}
        for name in ("debian12", "debian12:stable", "debian12:testing"):
            with contextlib.suppress(UsageError, ObjectMissingError):
                entry = await catalog.resolve(self.store, name)
                assert entry.timestamp not in self.revoked | self.expired
                assert await self.store.head(entry.metadata_key) is not None
                assert await self.store.head(entry.xva.key) is not None
                found[name] = entry.timestamp
        return found


async def _any_steps(steps: list[Any], guarded: bool) -> None:
    stamps = [f"2026110{number}T000000Z" for number in range(1, 7)]
    shelf = _Shelf(guarded=guarded)
    await shelf.act("publish", "", stamps[0], 0)
    named = await shelf.names()
    for number, (what, channel, index, failing) in enumerate(steps):
        shelf.store.left = failing
        with contextlib.suppress(AsyncpipeError):
            await shelf.act(what, channel, stamps[index], number)
        shelf.store.left = None
        before, named = named, await shelf.names()
        if what in {"prune", "repair"}:  # tidying up leads no name elsewhere
            assert before.items() <= named.items()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(tmp_path / "published"))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("LOGNAME", "ann")
    monkeypatch.chdir(tmp_path)

    async def fill() -> None:
        memory = MemoryStore()
        await three(memory)
        store = DirectoryStore(tmp_path / "published")
        for key, stored in memory.objects.items():
            await store.put(key, stored.body, content_type="x/x")

    anyio.run(fill)
    return tmp_path / "published"


def _say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


@pytest.mark.usefixtures("shelf")
def test_promote_revoke_list_pull_history_and_rollback_as_commands(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    promote = ["promote", f"debian12@{MIDDLE}", "--channel", "stable", "--reason", "boots"]
    assert _say(capsys, *promote)[0] == 0
    assert _say(capsys, "promote", "debian12", "--channel", "stable")[0] == 0
    code, text = _say(capsys, "revoke", f"debian12@{NEW}", "--reason", "bad kernel")
    assert code == 0
    assert f"stable is debian12@{MIDDLE}" in text
    assert f"latest is debian12@{MIDDLE}" in text
    assert "was revoked already" in _say(capsys, "revoke", f"debian12@{NEW}", "--reason", "x")[1]
    rows = _say(capsys, "list")[1].splitlines()[1:]
    assert rows[0].endswith("REVOKED")
    assert "REVOKED" not in "".join(rows[1:])
    code, text = _say(capsys, "pull", "--no-verify-xva", f"debian12@{NEW}")
    assert (code, "bad kernel" in text) == (2, True)
    assert not (tmp_path / "debian12.xva").exists()
    allowed = ["pull", "--no-verify-xva", "--revoked", f"debian12@{NEW}", "-o", "bad.xva"]
    assert _say(capsys, *allowed)[0] == 0
    assert "YES: bad kernel" in _say(capsys, "show", f"debian12@{NEW}")[1]
    assert _say(capsys, "promote", f"debian12@{NEW}", "--channel", "stable")[0] == 2
    moves = json.loads(_say(capsys, "history", "debian12:stable", "--json")[1])["moves"]
    assert [(move["before"], move["after"]) for move in moves] == [
        (NEW, MIDDLE),
        (MIDDLE, NEW),
        (None, MIDDLE),
    ]
    assert moves[-1]["reason"] == "boots"
    assert moves[-1]["by"] == "ann"
    assert _say(capsys, "promote", f"debian12@{OLD}", "--channel", "stable")[0] == 0
    assert _say(capsys, "rollback", "debian12:stable")[1].startswith(
        f"debian12:stable is debian12@{MIDDLE}"
    )


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    "words",
    [
        ["revoke", "debian12", "--reason", "x"],
        ["revoke", "debian12:stable", "--reason", "x"],
        ["promote", "debian12", "--channel", "../x"],
        ["rollback", "debian12"],
    ],
)
def test_bad_words_end_with_2_and_change_nothing(
    capsys: pytest.CaptureFixture[str], words: list[str], shelf: Path
) -> None:
    before = sorted(map(str, shelf.rglob("*.json")))
    assert _say(capsys, *words)[0] == 2
    assert sorted(map(str, shelf.rglob("*.json"))) == before
