"""A guest at a stand-in host: what XAPI's drive has on it is what its SSH server believes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.boot_test.guest import Guest, running
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn

LEFT_BY_A_KILL = {"session": 1}  # nobody logged out


@contextmanager
def host_with_guest(folder: Path) -> Iterator[tuple[XapiStandIn, Guest]]:
    """Serve both; each VM that is started is the guest."""
    with running_xapi() as xapi:

        def drive() -> bytes:
            disks = xapi.state.tables["VDI"]
            (ref,) = (ref for ref, vdi in disks.items() if "boot test" in vdi["name_label"])
            return xapi.state.contents[ref]

        with running(Guest(folder=folder, drive_image=drive)) as guest:
            yield xapi, guest


def running_vms(xapi: XapiStandIn) -> list[str]:
    """Names of the VMs that run, less dom0."""
    with xapi.state.lock:
        return [
            str(vm["name_label"])
            for vm in xapi.state.tables["VM"].values()
            if vm["power_state"] == "Running" and not vm["is_control_domain"]
        ]
