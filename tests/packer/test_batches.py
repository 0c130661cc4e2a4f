"""Lines that came at once are understood as if they had come one by one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from asyncpipe.detect.guest import GuestCollector
from asyncpipe.detect.medium import MediumCollector
from asyncpipe.model.build import Phase
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.text.lines import Lines
from tests.packer.recordings import lines_of, names

pytestmark = pytest.mark.anyio

_NOISE = [
    "    n.x: Setting up libc6:amd64 (2.36-9) ...",
    "==> n.x: + apt-get update",
    "",
    "==> other.y: an ordinary line on stderr",
    "==> n.x: Retrieving ISO",
    "==> n.x: Trying https://h/x.iso",
    "==> n.x: https://h/x.iso => /cache/x.iso",
    "==> n.x: XAPI client session established",
    "==> n.x: Step: Create Instance",
    "    n.x: Created instance '5f7e2f5e-6c8e-4c0f-8d8f-0123456789ab'",
    "==> n.x: Connected to SSH!",
    "==> n.x: Provisioning with shell script: x.sh",
    "==> n.x: Step: export artifact",
    "==> n.x: Destroying VM",
    "==> n.x: Can't destroy VDI 'x': in use",
    "==> n.x: SOMETHING_FAILED: no such VM",
    "Error: no such variable",
    "  on x.pkr.hcl line 7:",
    "  7: value = var.x",
    "Build 'n.x' errored after 5 seconds: Script exited with non-zero status: 1",
    "==> Some builds didn't complete successfully",
    "* some plugin says why",
    "panic: runtime error",
    "Cancelling build after receiving interrupt",
    "    n.x: asyncpipe-evidence/1 begin",
    '    n.x: asyncpipe-evidence/1 os-release ID="debian"',
    '    n.x: asyncpipe-evidence/1 os-release VERSION_ID="12"',
    "    n.x: asyncpipe-evidence/1 end 2",
    "    n.x: ID=ubuntu",
    '    n.x: VERSION_ID="24.04"',
    "    n.x: Microsoft Windows [Version 10.0.20348.1]",
    "2026-11-23T17:12:59Z: ==> n.x: with Packer's own time",
]


def _said(take: Callable[[BuildProgress, list[str]], None], lines: list[str]) -> object:
    phases: list[Phase] = []
    hosts: list[object] = []
    progress = BuildProgress(phases.append, hosts.append)
    take(progress, lines)
    progress.return_code = 1
    known = replace(progress.build_exit, started_utc="", ended_utc="", duration_s=0, phases=())
    return phases, hosts, known, progress.builds_started, progress.causes.diagnostics


def _one_by_one(progress: BuildProgress, lines: list[str]) -> None:
    for line in lines:
        progress.take_line(line)


def _batches(lines: list[str], source: random.Random) -> list[Lines]:
    batches, start = [], 0
    while start < len(lines):
        end = start + source.choice([1, 2, 5, 40, 300, 2000])
        batches.append(Lines("\n".join(lines[start:end])))
        start = end
    return batches


def _check(lines: list[str], seed: int) -> None:
    batches = _batches(lines, random.Random(seed))

    def at_once(progress: BuildProgress, _: list[str]) -> None:
        for batch in batches:
            progress.take_lines(batch)

    assert _said(at_once, lines) == _said(_one_by_one, lines)
    single, several = GuestCollector(), GuestCollector()
    for line in lines:
        single.feed_line(line)
    for batch in batches:
        several.feed_lines(batch)
    assert several.facts() == single.facts()
    one, many = MediumCollector(), MediumCollector()
    for line in lines:
        one.feed_line(line)
    for batch in batches:
        many.feed_lines(batch)
    assert many.url == one.url


@pytest.mark.parametrize("name", names())
async def test_a_recording_says_the_same_in_batches(name: str) -> None:
    _check(lines_of(name), 0)


@pytest.mark.parametrize("seed", range(60))
async def test_any_lines_say_the_same_in_batches(seed: int) -> None:
    source = random.Random(seed)
    weights = [source.choice([0, 1, 1, 1, 30]) for _ in _NOISE]
    weights[0] = 100
    _check(source.choices(_NOISE, weights, k=source.choice([10, 100, 900])), seed)


async def test_of_thousands_of_lines_that_mean_something_both_ends_are_read() -> None:
    lines = [
        "==> n.x: Step: Create Instance",
        *["Build 'n.x' errored: x"] * 5000,
        "Cancelling build after receiving interrupt",
    ]
    progress = BuildProgress(lambda _: None)
    progress.take_lines(Lines("\n".join(lines)))
    assert progress.builds_started
    assert progress.cancelled
    assert progress.host.creating
