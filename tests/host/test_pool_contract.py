from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from asyncpipe.host.pool import open_pool
from asyncpipe.model.host import PowerState
from asyncpipe.ports import Pool
from asyncpipe.testing.pool import FakePool
from tests.host.access import access_to
from tests.host.contract import GIB, Furniture, PoolContract
from tests.xapi_standin.standin import XapiStandIn

pytestmark = pytest.mark.anyio


class FakeFurniture(Furniture):
    def __init__(self, pool: FakePool) -> None:
        self._pool = pool

    def add_vm(self, name: str, *, running: bool = False, disks: Sequence[int] = (GIB,)) -> str:
        state = PowerState.RUNNING if running else PowerState.HALTED
        return self._pool.add_vm(name, power_state=state, disk_bytes=disks)

    def add_iso(self, name: str) -> str:
        return self._pool.add_vdi(name, is_iso=True)

    def clone(self, vm_uuid: str, name: str) -> None:
        self._pool.add_vm(name)  # marks are values here: nothing to copy

    def export(self, vm_uuid: str) -> None:
        machines = self._pool.machines
        machines[vm_uuid] = replace(machines[vm_uuid], operations=("export",))

    def refuse(self, kind: str, uuid: str) -> None:
        self._pool.refuse(uuid, f"the {kind} is stuck")

    def names(self) -> list[str]:
        machines, disks = self._pool.machines.values(), self._pool.disks.values()
        return sorted([*(vm.name for vm in machines), *(vdi.name for vdi in disks)])


class XapiFurniture(Furniture):
    def __init__(self, xapi: XapiStandIn) -> None:
        self._xapi = xapi

    def add_vm(self, name: str, *, running: bool = False, disks: Sequence[int] = (GIB,)) -> str:
        state = self._xapi.state
        storage = self._xapi.ref("SR", "Local storage")
        vm = state.add_vm(name_label=name)
        for number, size_bytes in enumerate(disks):
            fields = {"name_label": f"{name} disk {number}", "virtual_size": size_bytes}
            disk = state.add_vdi(storage, **fields)
            state.add("VBD", VM=vm, VDI=disk, type="Disk", userdevice=str(number))
        if running:
            with state.lock:
                self._xapi.transfers.calls.start(vm)
        return state.uuid_of("VM", vm)

    def add_iso(self, name: str) -> str:
        storage = self._xapi.ref("SR", "ISO images")
        vdi = self._xapi.state.add_vdi(storage, name_label=name, virtual_size=GIB)
        return self._xapi.state.uuid_of("VDI", vdi)

    def clone(self, vm_uuid: str, name: str) -> None:
        state = self._xapi.state
        source = state.raw("VM", state.by_uuid("VM", vm_uuid))
        state.add_vm(name_label=name, other_config=dict(source["other_config"]))

    def export(self, vm_uuid: str) -> None:
        state = self._xapi.state
        record = state.raw("VM", state.by_uuid("VM", vm_uuid))
        task = state.add("task", name_label="export", status="pending")
        record["current_operations"][task] = "export"

        def end(method: str) -> None:
            if method == "VM.get_record" and task in state.cancelled:
                record["current_operations"].pop(task, None)

        self._xapi.on_call = end

    def refuse(self, kind: str, uuid: str) -> None:
        self._xapi.faults.fail(f"{kind}.destroy", "INTERNAL_ERROR", "it is stuck")

    def names(self) -> list[str]:
        return sorted(self._xapi.vms() + self._xapi.vdis())


class TestFakePool(PoolContract):
    @pytest.fixture
    def fake(self) -> FakePool:
        return FakePool()

    @pytest.fixture
    def pool(self, fake: FakePool) -> Pool:
        return fake

    @pytest.fixture
    def furniture(self, fake: FakePool) -> Furniture:
        return FakeFurniture(fake)


class TestXapiPool(PoolContract):
    @pytest.fixture
    async def pool(self, xapi: XapiStandIn) -> AsyncIterator[Pool]:
        async with open_pool(access_to(xapi)) as pool:
            yield pool

    @pytest.fixture
    def furniture(self, xapi: XapiStandIn) -> Furniture:
        return XapiFurniture(xapi)
