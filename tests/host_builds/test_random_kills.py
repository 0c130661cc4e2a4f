"""The real Packer and plugin, ended at random: the host is clean afterwards, the report true."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.host_builds.bench import Bench, finish, wait_for
from tests.templates.real_packer import real_packer
from tests.xapi_standin.faults import Export
from tests.xapi_standin.standin import XapiStandIn

ROUNDS = 40
LONGEST_S = 12.0  # a build with a slow export takes about as long
NUMBERS = (signal.SIGKILL, signal.SIGHUP, signal.SIGTERM)


def _cut(bench: Bench, number: signal.Signals, after_s: float) -> tuple[int, str]:
    """Start a build, signal asyncpipe, never Packer, ``after_s`` later, and wait for the end."""
    process = bench.build()
    begun = wait_for(process, "building templates/small")
    time.sleep(after_s)
    ended = finish(process, number)
    return ended.code, begun + ended.out


def _lies(bench: Bench, number: signal.Signals, code: int, out: str) -> str:
    """What the report said against what the host holds, "" when they agree."""
    said = "may still be at the host" in out or "stays at the host" in out
    there = bench.left() != ([], [])
    if number == signal.SIGKILL and code < 0:
        return ""  # it had no time to say anything
    return "" if said == there else f"said {said}, the host has {bench.left()}"


@pytest.mark.heavy("packer")
@pytest.mark.real_packer
@pytest.mark.timeout(3000)
def test_ended_at_random_nothing_stays_and_the_report_is_true(
    tmp_path: Path, xapi: XapiStandIn
) -> None:
    real = real_packer()
    xapi.faults.export, xapi.faults.bytes_per_s = Export.SLOW, 2_000_000
    chance = random.Random(os.environ.get("ASYNCPIPE_SEED", "20261126"))
    problems: list[str] = []
    for number_of_round in range(int(os.environ.get("ASYNCPIPE_ROUNDS", ROUNDS))):
        bench = Bench(
            tmp_path / str(number_of_round),
            xapi,
            packer=real.packer,
            more={"PACKER_PLUGIN_PATH": str(real.plugin_path)},
        )
        number = NUMBERS[number_of_round % len(NUMBERS)]
        after_s = chance.uniform(0.0, LONGEST_S)
        code, out = _cut(bench, number, after_s)
        phases = [line for line in out.splitlines() if line.startswith("asyncpipe: phase ")]
        where = f"round {number_of_round}: {number.name} after {after_s:.1f} s, {phases[-1:]}"
        lie = _lies(bench, number, code, out)
        left_before = bench.left()
        reaped = bench.run("reap", "--run", "last", "--grace", "5s") if bench.runs else None
        print(where, code, "left", left_before, "reap", reaped.code if reaped else None)  # noqa: T201 - the counts are the result
        if lie:
            problems.append(f"{where}: {lie}\n{out}")
        if bench.left() != ([], []):
            problems.append(f"{where}: after reap {bench.left()}\n{reaped.out if reaped else out}")
            _empty(xapi)
    assert not problems, "\n".join(problems)


def _empty(xapi: XapiStandIn) -> None:
    """The next round starts from a clean host."""
    with xapi.state.lock:
        tables = xapi.state.tables
        for ref, vm in list(tables["VM"].items()):
            if vm["name_label"].startswith("small"):
                xapi.state.destroy_vm(ref)
        tables["VDI"].clear()
