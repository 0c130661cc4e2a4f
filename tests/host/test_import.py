from __future__ import annotations

import hashlib
from typing import Any

import anyio
import pytest

from asyncpipe.errors import (
    AsyncpipeError,
    ChecksumError,
    DestinationTakenError,
    HostError,
    HostFullError,
    HostMissingError,
    TransientStoreError,
    UsageError,
    XvaInvalidError,
)
from asyncpipe.host import importing, stream
from asyncpipe.host.importing import Imported, ImportOptions, import_xva
from asyncpipe.host.stream import ImportSource
from asyncpipe.model.host import DIGEST_KEY, ORIGIN_KEY, VERSION_KEY
from asyncpipe.model.run import Trust
from tests.host.access import access_to
from tests.host.sources import VERSION, Seen, source_of, xva
from tests.xapi_standin.faults import Import
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn
from tests.xva import samples

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024
TEMPLATE = ImportOptions(as_template=True)
LATEST = ImportOptions(as_template=True, replace_latest=True)
NEWER = "debian12@20261124T170000Z"


async def imported(
    xapi: XapiStandIn,
    source: ImportSource,
    options: ImportOptions | None = None,
    seen: Seen | None = None,
    **access: Any,
) -> Imported:
    with anyio.fail_after(30):
        return await import_xva(
            access_to(xapi, **access), source, options or ImportOptions(), seen or Seen()
        )


def assert_as_before(xapi: XapiStandIn) -> None:
    """No VM, no disk, no task, no session."""
    assert xapi.vms() == []
    assert xapi.vdis() == []
    assert xapi.state.tables["task"] == {}
    assert xapi.sessions() == 0


class TestGood:
    async def test_the_vm_is_there_with_its_disk_and_says_where_it_comes_from(
        self, xapi: XapiStandIn
    ) -> None:
        data, seen = xva(), Seen()
        done = await imported(xapi, source_of(data), seen=seen)
        assert xapi.vms() == [done.vm_name] == ["sample & co"]
        record = xapi.record("VM", "sample & co")
        assert record["is_a_template"] is False
        assert record["other_config"][VERSION_KEY] == VERSION
        assert record["other_config"][DIGEST_KEY] == hashlib.sha256(data).hexdigest()
        assert record["other_config"][ORIGIN_KEY].startswith("s3://bucket/p/")
        assert record["tags"] == ["asyncpipe"]
        assert seen.sent_bytes[-1] == len(data)
        assert xapi.state.tables["task"] == {}
        assert xapi.sessions() == 0

    async def test_a_template_is_named_by_its_version(self, xapi: XapiStandIn) -> None:
        done = await imported(xapi, source_of(xva()), TEMPLATE)
        assert done.vm_name == VERSION
        record = xapi.record("VM", VERSION)
        assert record["is_a_template"] is True
        assert done.sha256_hex in record["name_description"]

    async def test_the_latest_takes_the_name_and_the_older_one_stays(
        self, xapi: XapiStandIn
    ) -> None:
        older = await imported(xapi, source_of(xva()), LATEST)
        newer = await imported(xapi, source_of(xva(7), version=NEWER), LATEST)
        assert (older.vm_name, newer.vm_name) == ("debian12", "debian12")
        assert newer.renamed == (VERSION,)
        assert xapi.vms() == ["debian12", VERSION]
        assert xapi.record("VM", VERSION)["uuid"] == older.vm_uuid

    async def test_the_same_version_is_sent_once(self, xapi: XapiStandIn) -> None:
        first = await imported(xapi, source_of(xva()), TEMPLATE)
        again = await imported(xapi, source_of(xva()), TEMPLATE)
        latest = await imported(xapi, source_of(xva()), LATEST)
        assert again.was_there
        assert again.vm_uuid == latest.vm_uuid == first.vm_uuid
        assert xapi.vms() == ["debian12"]
        assert len(xapi.made("PUT /import")) == 1

    async def test_storage_and_network_are_those_that_were_named(self, xapi: XapiStandIn) -> None:
        fast = xapi.state.add(
            "SR", name_label="Fast", content_type="user", physical_size=str(2**40)
        )
        network = xapi.state.add("network", name_label="Servers")
        await imported(xapi, source_of(xva()), ImportOptions(storage="Fast", network="Servers"))
        (vdi,) = xapi.state.tables["VDI"].values()
        (vif,) = xapi.state.tables["VIF"].values()
        assert vdi["SR"] == fast
        assert vif["network"] == network
        assert vif["VM"] in xapi.state.tables["VM"]

    async def test_a_slow_host_slows_the_source_down(self, xapi: XapiStandIn) -> None:
        xapi.faults.import_ = Import.SLOW
        await imported(xapi, source_of(xva()))
        assert xapi.vms() == ["sample & co"]

    async def test_a_file_without_a_known_digest_is_judged_by_its_structure(
        self, xapi: XapiStandIn
    ) -> None:
        data = xva()
        done = await imported(xapi, source_of(data, sha256_hex=None, version=None), TEMPLATE)
        assert done.vm_name == "sample & co"
        assert done.sha256_hex == hashlib.sha256(data).hexdigest()

    async def test_a_repository_of_another_host_is_reached_by_its_redirect(
        self, xapi: XapiStandIn
    ) -> None:
        with running_xapi() as member:
            member.state.tables = xapi.state.tables  # hosts of a pool share one database
            xapi.redirect = f"https://{member.address}/import"
            trust = Trust(fingerprints=(xapi.fingerprint, member.fingerprint))
            await imported(xapi, source_of(xva()), trust=trust)
            assert member.made("PUT /import")
        assert xapi.vms() == ["sample & co"]

    async def test_the_next_host_must_be_trusted_too(self, xapi: XapiStandIn) -> None:
        with running_xapi() as member:
            member.state.tables = xapi.state.tables
            xapi.redirect = f"https://{member.address}/import"
            with pytest.raises(HostError, match="another certificate"):
                await imported(
                    xapi, source_of(xva()), trust=Trust(fingerprints=(xapi.fingerprint,))
                )
            assert not member.calls
        assert_as_before(xapi)


class TestBadSources:
    async def test_a_flipped_byte_in_a_chunk(self, xapi: XapiStandIn) -> None:
        data = bytearray(xva())
        data[len(data) // 2] ^= 1
        good = hashlib.sha256(xva()).hexdigest()
        with pytest.raises(ChecksumError, match="checksum-mismatch"):
            await imported(xapi, source_of(bytes(data), sha256_hex=good), TEMPLATE)
        assert_as_before(xapi)

    async def test_another_valid_xva_than_was_published(self, xapi: XapiStandIn) -> None:
        with pytest.raises(ChecksumError, match="not what was published"):
            await imported(xapi, source_of(xva(), sha256_hex="0" * 64))
        assert_as_before(xapi)

    async def test_what_is_no_xva(self, xapi: XapiStandIn) -> None:
        page = b"<html>302</html>" * 100_000
        with pytest.raises(XvaInvalidError):
            await imported(xapi, source_of(page, sha256_hex=None))
        assert_as_before(xapi)

    async def test_a_source_that_breaks_off(self, xapi: XapiStandIn) -> None:
        with pytest.raises(TransientStoreError):
            await imported(xapi, source_of(xva(), cut_at=5 * MIB))
        assert_as_before(xapi)

    @pytest.mark.parametrize("difference", [-1, 1])
    async def test_another_size_than_announced(self, xapi: XapiStandIn, difference: int) -> None:
        data = xva()
        with pytest.raises(ChecksumError):
            await imported(xapi, source_of(data, size_bytes=len(data) + difference))
        assert_as_before(xapi)

    async def test_the_host_never_gets_all_data_of_what_is_refused_at_its_end(
        self, xapi: XapiStandIn
    ) -> None:
        """XAPI does not read the end of an archive: it would take such a one for complete."""
        xapi.faults.lax_import = True
        padded = xva() + bytes(512 * 1024)
        with pytest.raises(ChecksumError):
            await imported(xapi, source_of(padded, sha256_hex="0" * 64))
        assert_as_before(xapi)


class TestBadHosts:
    async def test_a_cut_in_the_middle(self, xapi: XapiStandIn) -> None:
        xapi.faults.import_ = Import.CUT
        with pytest.raises(HostError):
            await imported(xapi, source_of(xva()))
        assert_as_before(xapi)

    async def test_a_toolstack_that_restarts_in_the_middle(self, xapi: XapiStandIn) -> None:
        xapi.faults.import_ = Import.RESTARTED
        with pytest.raises(HostError):
            await imported(xapi, source_of(xva()))
        assert_as_before(xapi)

    async def test_a_toolstack_that_is_back_later(
        self, xapi: XapiStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importing, "_PAUSE_S", 0.05)
        xapi.faults.import_ = Import.RESTARTED
        logins: list[str] = []

        def refuse_some(method: str) -> None:
            if method == "session.login_with_password":
                logins.append(method)
                if len(logins) == 2:
                    xapi.faults.fail(method, "HOST_STILL_BOOTING", times=3)

        xapi.on_call = refuse_some
        with pytest.raises(HostError):
            await imported(xapi, source_of(xva()))
        assert len(logins) == 5
        assert_as_before(xapi)

    async def test_what_cannot_be_removed_is_named(
        self, xapi: XapiStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importing, "_LOGIN_AGAIN_S", 0.3)
        xapi.faults.import_ = Import.RESTARTED
        xapi.faults.fail("VM.get_all_records")
        with pytest.raises(HostError) as caught:
            await imported(xapi, source_of(xva()))
        assert "may remain" in caught.value.hint
        assert "import_task=" in caught.value.hint

    async def test_a_host_that_stalls_is_given_up(
        self, xapi: XapiStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "_IDLE_S", 1.0)
        xapi.faults.import_ = Import.STALLED
        with pytest.raises(HostError, match="has not moved"):
            await imported(xapi, source_of(xva(24)))
        assert_as_before(xapi)

    async def test_a_full_repository(self, xapi: XapiStandIn) -> None:
        xapi.record("SR", "Local storage")["other_bytes"] = 100 * 1024**3 - 3 * MIB
        with pytest.raises(HostFullError, match="free"):
            await imported(xapi, source_of(xva()))
        assert not xapi.made("PUT /import")
        assert_as_before(xapi)

    async def test_a_repository_that_turns_out_full(self, xapi: XapiStandIn) -> None:
        xapi.record("SR", "Local storage")["other_bytes"] = 100 * 1024**3 - 8 * MIB
        sparse = samples.pack(samples.members_of([samples.disk("Ref:10", 64 * MIB, {1})]))
        with pytest.raises(HostFullError, match="SR_BACKEND_FAILURE_44"):
            await imported(xapi, source_of(sparse))
        assert_as_before(xapi)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (ImportOptions(storage="Nowhere"), "no storage repository 'Nowhere'"),
            (ImportOptions(storage="ISO images"), "holds ISO images"),
            (ImportOptions(network="Nowhere"), "no network 'Nowhere'"),
        ],
    )
    async def test_what_is_not_there_is_told_before_anything_is_sent(
        self, xapi: XapiStandIn, options: ImportOptions, words: str
    ) -> None:
        with pytest.raises(HostMissingError, match=words):
            await imported(xapi, source_of(xva()), options)
        assert_as_before(xapi)

    @pytest.mark.parametrize("method", ["VM.set_is_a_template", "VM.set_name_label", "VM.add_tags"])
    async def test_a_template_that_cannot_be_finished_does_not_stay(
        self, xapi: XapiStandIn, method: str
    ) -> None:
        xapi.faults.fail(method)
        with pytest.raises(HostError, match=method):
            await imported(xapi, source_of(xva()), TEMPLATE)
        assert_as_before(xapi)

    async def test_the_older_template_keeps_its_name_when_the_newer_fails(
        self, xapi: XapiStandIn
    ) -> None:
        older = await imported(xapi, source_of(xva()), LATEST)
        xapi.faults.import_ = Import.CUT
        with pytest.raises(HostError):
            await imported(xapi, source_of(xva(7), version=NEWER), LATEST)
        assert xapi.record("VM", "debian12")["uuid"] == older.vm_uuid
        assert xapi.vms() == ["debian12"]

    async def test_a_vm_of_somebody_else_is_not_pushed_aside(self, xapi: XapiStandIn) -> None:
        xapi.state.add_vm(name_label="debian12")
        with pytest.raises(DestinationTakenError, match="did not import"):
            await imported(xapi, source_of(xva()), LATEST)
        assert xapi.vms() == ["debian12"]

    async def test_replacing_needs_a_template_and_a_version(self, xapi: XapiStandIn) -> None:
        with pytest.raises(UsageError):
            await imported(xapi, source_of(xva()), ImportOptions(replace_latest=True))
        with pytest.raises(UsageError):
            await imported(xapi, source_of(xva(), version=None), LATEST)


class TestCancelled:
    @pytest.mark.parametrize("at_bytes", [0, 3 * MIB])
    async def test_nothing_stays(self, xapi: XapiStandIn, at_bytes: int) -> None:
        with anyio.move_on_after(1.5) as scope:
            await imported(xapi, source_of(xva(), stall_at=at_bytes))
        assert scope.cancelled_caught
        assert_as_before(xapi)

    async def test_nothing_stays_of_an_import_that_was_just_done(self, xapi: XapiStandIn) -> None:
        xapi.faults.hanging.add("VM.set_is_a_template")
        with anyio.move_on_after(2.5) as scope:
            await imported(xapi, source_of(xva()), TEMPLATE)
        assert scope.cancelled_caught
        assert_as_before(xapi)

    async def test_several_hosts_do_not_wait_for_a_broken_one(self, xapi: XapiStandIn) -> None:
        failures: list[AsyncpipeError] = []
        with running_xapi() as broken:
            broken.faults.import_ = Import.STALLED

            async def one(host: XapiStandIn) -> None:
                try:
                    await imported(host, source_of(xva(24)))
                except AsyncpipeError as error:
                    failures.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one, broken)
                await one(xapi)
                tasks.cancel_scope.cancel()
            assert_as_before(broken)
        assert xapi.vms() == ["sample & co"]
        assert not failures
