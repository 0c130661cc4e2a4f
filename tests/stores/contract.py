"""What every ObjectStore promises: one suite, run over each of them by the modules beside it."""

from __future__ import annotations

import secrets

import anyio

from asyncpipe.ports import ObjectStore
from tests.stores.contract_objects import SmallObjectsContract
from tests.stores.contract_uploads import MultipartContract
from tests.stores.helpers import LIMIT_S, keys_of


class ObjectStoreContract(SmallObjectsContract, MultipartContract):
    """Subclass with a ``store`` fixture."""

    async def test_the_probe_proves_the_destination_and_leaves_nothing(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            await store.probe()
            assert await keys_of(store, "") == []
            assert await store.list_uploads("") == []

    async def test_urls_name_store_and_objects(self, store: ObjectStore) -> None:
        name = f"f/{secrets.token_hex(4)}.xva"
        assert store.url.endswith("/")
        assert store.url_of(name) == store.url + name
