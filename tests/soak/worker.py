"""``python -m tests.soak.worker JOB``: one process that publishes again and again, measured.

What a run leaks, a process of its own hides: here hundreds of matrices share one. Some templates
fail, some images are damaged, some matrices are cancelled at a random instant.
"""

from __future__ import annotations

import ctypes
import gc
import json
import random
import re
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio

from asyncpipe.cli.gc import begin
from asyncpipe.model.publication import Outcome
from asyncpipe.run.pipeline import process_template
from asyncpipe.run.scheduler import DiskBudget, Job, process_matrix
from asyncpipe.run.state import RunJournal
from asyncpipe.stores.open import open_store
from asyncpipe.testing.processes import Script, ScriptedProcessRunner
from asyncpipe.text.format import timestamp_of
from asyncpipe.upload.budget import Budget
from tests.run.services import Bench, guest_says, leaves, plan_in, xva_bytes

_LONGEST_S = 3.0
_FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


async def soak(destination: str, environment: dict[str, str], work: dict[str, str]) -> None:
    """Run matrices until the time is up; print what was measured after each as JSON."""
    folder, until_s = Path(work["folder"]), time.monotonic() + float(work["seconds"])
    chance = random.Random(int(work["seed"]))
    image = xva_bytes(folder, 6 << 20)
    begin = datetime.now(UTC)
    measured, ended = [], {"Published": 0, "Failed": 0, "cancelled": 0}
    number = 0
    while time.monotonic() < until_s:
        place = folder / str(number)
        stamps = [timestamp_of(begin + timedelta(seconds=2 * number + more)) for more in (0, 1)]
        outcomes = await _matrix(destination, environment, place, stamps, image, chance)
        if not outcomes:
            ended["cancelled"] += 1
        for outcome in outcomes:
            ended[type(outcome).__name__] += 1
        shutil.rmtree(place, ignore_errors=True)
        number += 1
        measured.append(_measured())
    sys.stdout.write(json.dumps({"measured": measured, "ended": ended}))


async def _matrix(
    destination: str,
    environment: dict[str, str],
    folder: Path,
    stamps: Sequence[str],
    image: bytes,
    chance: random.Random,
) -> Sequence[Outcome]:
    outcomes: Sequence[Outcome] = ()
    cancel_after_s = chance.uniform(0, _LONGEST_S) if chance.random() < 0.3 else float("inf")
    with anyio.move_on_after(cancel_after_s):
        async with open_store(destination, environment=environment) as store:
            await store.probe()
            bench = replace(Bench(folder, ()).workshop(), store=store)
            async with Budget(bench.transfer) as budget:
                jobs = []
                for name, stamp in zip(("one", "other"), stamps, strict=True):
                    plan = replace(plan_in(folder / name), unit=name, timestamp=stamp)
                    services = replace(
                        bench,
                        budget=budget,
                        eager=chance.random() < 0.5,
                        runner=ScriptedProcessRunner(scripts=[_script(image, chance)]),
                        journal=RunJournal.begin(
                            folder / name / "run",
                            run_id=name,
                            timestamp=stamp,
                            destination=destination,
                        ),
                    )

                    async def run(
                        _attempt: int, plan: object = plan, all_: object = services
                    ) -> Outcome:
                        return await process_template(plan, all_)  # type: ignore[arg-type]

                    jobs.append(Job(name=name, template_path="x", expected_bytes=0, run=run))
                outcomes = await process_matrix(jobs, at_once=2, disk=DiskBudget(lambda: 1 << 40))
    return outcomes


def _script(image: bytes, chance: random.Random) -> Script:
    lines = ((0.0, b"==> null.demo: hello\n"), (0.2, guest_says("debian", "12")))
    drawn = chance.random()
    if drawn < 0.15:
        return Script(output=lines, return_code=1)
    if drawn < 0.3:
        return Script(output=lines, on_exit=leaves("demo.xva", image[: len(image) // 2]))
    if drawn < 0.65:
        return Script(output=(*lines, (0.3, b"done\n")), on_start=leaves("demo.xva", image))
    return Script(output=lines, on_exit=leaves("demo.xva", image))


class _Mallinfo2(ctypes.Structure):
    """mallinfo2(3) of glibc."""

    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def _malloc_kib() -> int:
    """What malloc has given out: RSS beyond it is memory that malloc keeps, not a leak."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    told = mallinfo2()
    return (int(told.uordblks) + int(told.hblkhd)) // 1024


def _measured() -> dict[str, int]:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", status)
    return {
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": threading.active_count(),
        "rss_kib": int(match[1]) if match else 0,
        "malloc_kib": _malloc_kib(),
        "python_blocks": sys.getallocatedblocks(),
    }


if __name__ == "__main__":
    begin()  # one malloc arena, as the program has it: threads' own would look like a leak
    anyio.run(soak, *json.loads(sys.argv[1]))
