"""Clean up what interrupted runs left behind; only what is recognised as ours is touched."""

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
