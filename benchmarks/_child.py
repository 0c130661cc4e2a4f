"""``python -m benchmarks._child CLIENT JOB``: one upload, one line of JSON with what it cost."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from benchmarks._clients import CLIENTS
from benchmarks._job import Job


def main() -> None:
    client, job = sys.argv[1], json.loads(sys.argv[2])
    upload = CLIENTS[client](Job(**{**job, "path": Path(job["path"])}))
    imports_s = cpu_s()
    began_s = time.perf_counter()
    answer = upload()
    more = answer if client == "asyncpipe-many" else None  # others return what a store said
    wall_s = time.perf_counter() - began_s
    print(
        json.dumps(
            {
                "wall_s": wall_s,
                "cpu_s": cpu_s(),
                "imports_s": imports_s,
                "peak_mib": peak_mib(),
                **(more or {}),
            }
        )
    )


def cpu_s() -> float:
    """CPU seconds of this process since its start, and of the programs it ran."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mib() -> float:
    """Highest resident size of this process, or of the largest program it ran."""
    children_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    own_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return max(own_kib, children_kib) / 1024


if __name__ == "__main__":
    main()
