"""Clean up what interrupted runs left behind; only what is recognised as ours is touched.

Each name is loaded when it is first used: a publication needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncpipe.system import loaded_on_use

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
    "asyncpipe.reap.boot_tests": "end_boot_test sweep_boot_tests",
    "asyncpipe.reap.findings": "Finding Groups HasLifecycle HasRemains Kind Reaped",
    "asyncpipe.reap.interrupted": "end_builds reap_run",
    "asyncpipe.reap.marked": "Known Life LookAtRun sweep_host",
    "asyncpipe.reap.stored": "sweep",
}

__getattr__ = loaded_on_use(__name__, _NAMES)
