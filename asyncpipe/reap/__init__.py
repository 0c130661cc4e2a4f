"""Clean up what interrupted runs left behind; only what is recognised as ours is touched.

Each name is loaded when it is first used: a publication needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncpipe.reap.boot_tests import end_boot_test, sweep_boot_tests
    from asyncpipe.reap.findings import Finding, Groups, HasLifecycle, HasRemains, Kind, Reaped
    from asyncpipe.reap.interrupted import end_builds, reap_run
    from asyncpipe.reap.marked import Known, Life, LookAtRun, sweep_host
    from asyncpipe.reap.stored import sweep

__all__ = [
    "Finding",
    "Groups",
    "HasLifecycle",
    "HasRemains",
    "Kind",
    "Known",
    "Life",
    "LookAtRun",
    "Reaped",
    "end_boot_test",
    "end_builds",
    "reap_run",
    "sweep",
    "sweep_boot_tests",
    "sweep_host",
]

_NAMES = {  # by the module that has them
    "boot_tests": "end_boot_test sweep_boot_tests",
    "findings": "Finding Groups HasLifecycle HasRemains Kind Reaped",
    "interrupted": "end_builds reap_run",
    "marked": "Known Life LookAtRun sweep_host",
    "stored": "sweep",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"asyncpipe.reap.{home}"), name)
    globals()[name] = found
    return found
