"""What a guest says of itself, and what that means; the script runs in a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from asyncpipe.boot import probe
from asyncpipe.boot.probe import Origin, checks_of, facts_of
from asyncpipe.model.boot.machine import Account
from asyncpipe.model.boot.result import Check, CheckOutcome
from tests.boot_test.guest import GOOD, said

NEW = Origin()
ACCOUNT = Account(user="t", host_name="boot-1", private_key="", public_key="")
HOST = {"host-name": ("boot-1",)}


def check(name: str, origin: Origin = NEW, **changed: tuple[str, ...]) -> Check:
    facts = {**HOST, **GOOD, **{key.replace("_", "-"): value for key, value in changed.items()}}
    found = checks_of(facts_of(said(facts)), ACCOUNT, origin)
    return next(one for one in found if one.name == name)


def test_a_good_clone_passes_every_check_but_the_one_that_needs_xen() -> None:
    found = checks_of(facts_of(said({**HOST, **GOOD})), ACCOUNT, NEW)
    assert {one.name: one.outcome for one in found} == dict.fromkeys(
        ("host-name", "machine-id", "host-keys", "root-grown", "network", "failed-units"),
        CheckOutcome.PASSED,
    ) | {"guest-agent": CheckOutcome.NOT_RUN}


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (check("host-name", host_name=("debian",)), "'debian'"),
        (check("machine-id", machine_id=("",)), "none"),
        (check("machine-id", machine_id=("uninitialized",)), "none"),
        (check("machine-id", Origin(machine_id=True)), "in the image itself"),
        (check("host-keys", host_key=()), "none"),
        (check("host-keys", Origin(host_keys=True)), "in the image itself"),
        (check("root-grown", unused_bytes=(str(2 << 30),)), "2.0 GiB of the disk's 5.0 GiB"),
        (check("root-grown", root_bytes=(str(3 << 30),)), "3.0 GiB of a device of 5.0 GiB"),
        (check("root-grown", disk_bytes=("much",)), "does not say"),
        (check("network", address=()), "no address"),
        (check("failed-units", failed_unit=("a.service", "b.mount")), "a.service, b.mount"),
        (check("failed-units", end=()), "broke off"),
        (check("guest-agent", agent=()), "no unit"),
        (check("guest-agent", agent=("xe-daemon.service disabled",)), "no unit"),
    ],
)
def test_what_a_clone_must_not_be_fails_its_check(one: Check, words: str) -> None:
    assert one.outcome is CheckOutcome.FAILED
    assert words in one.says


def test_a_guest_that_floods_is_bounded() -> None:
    facts = facts_of("asyncpipe failed-unit x\n" * 10_000 + "other\nasyncpipe end " + "y" * 10_000)
    assert len(facts["failed-unit"]) == 50
    assert len(facts["end"][0]) == 2000


@pytest.mark.parametrize(
    ("code", "output", "outcome", "words"),
    [
        (0, "status: done\n", CheckOutcome.PASSED, "done"),
        (1, "status: error\ndetail: x\n", CheckOutcome.FAILED, "ended with 1: status: error"),
        (127, "there is no cloud-init\n", CheckOutcome.FAILED, "there is no cloud-init"),
        (None, "....", CheckOutcome.FAILED, "did not end in time"),
    ],
)
def test_cloud_init_has_to_end_well(
    code: int | None, output: str, outcome: CheckOutcome, words: str
) -> None:
    one = probe.cloud_init_check(code, output)
    assert one.outcome is outcome
    assert words in one.says


def test_the_script_says_every_fact_in_a_real_shell(tmp_path: Path) -> None:
    script = tmp_path / "probe.sh"
    script.write_text(probe.SCRIPT)
    ran = subprocess.run(
        ["sh", str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    facts = facts_of(ran.stdout)
    assert {"host-name", "machine-id", "uptime", "root-bytes", "end"} <= facts.keys(), ran
    assert probe.uptime_s(facts) is not None


def test_the_scripts_have_no_mistake_that_shellcheck_knows(tmp_path: Path) -> None:
    for number, text in enumerate((probe.SCRIPT, probe.CLOUD_INIT)):
        script = tmp_path / f"{number}.sh"
        script.write_text(f"#!/bin/sh\n{text}")
        done = subprocess.run(
            ["shellcheck", "--severity=warning", str(script)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
