"""The heavy tests, in named groups with a time budget each: ``bin/test --heavy [GROUP ...]``.

Every group is one pytest run of its own, so that a slow or hanging one costs its own budget and
nothing else. ``--within S`` is for CI: groups are run in this order while their budget still fits;
what is left out is printed, and a group that ran out of time is reported without failing the run.
A test that failed fails the run, whether or not its group came to an end.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY = Path(__file__).resolve().parents[1]
_STOP_S = 60.0  # pytest writes its report after the interrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named part of the heavy tests; the budget is for two cores and empty caches."""

    name: str
    budget_s: int
    what: str
    folders: tuple[str, ...]  # of tests/: a heavy test there belongs to this group


GROUPS: Final = (
    Group(name="xva", budget_s=240, what="archives of many GiB", folders=("xva",)),
    Group(name="long", budget_s=900, what="whole builds, one after the other", folders=("cli",)),
    Group(
        name="crash",
        budget_s=1800,
        what="kill -9 at random, 1,000 parts",
        folders=("upload", "e2e"),
    ),
    Group(
        name="stores",
        budget_s=900,
        what="real S3 servers on 127.0.0.1",
        folders=("stores",),
    ),
    Group(
        name="packer",
        budget_s=1200,
        what="current Packer with the real plugin, every template validated",
        folders=("templates", "packer", "host", "template"),
    ),
    Group(
        name="trees",
        budget_s=2400,
        what="provisioning in debootstrap trees; what they lack, compared with apt",
        folders=("provisioning", "updates"),
    ),
    Group(
        name="random",
        budget_s=600,
        what="10,000 random secrets and documents",
        folders=("text", "catalog", "metadata", "reap"),
    ),
    Group(name="faults", budget_s=900, what="errno at every await", folders=("faults", "run")),
    Group(
        name="github",
        budget_s=2400,
        what="whole workflows by nektos/act, jobs killed at random",
        folders=("github",),
    ),
    Group(name="soak", budget_s=1500, what="random runs, faults and kills", folders=("soak",)),
    Group(name="mutation", budget_s=3600, what="mutants that must not live", folders=("mutation",)),
    Group(
        name="page",
        budget_s=900,
        what="the page of the catalogue in Chromium, its readers' own tools",
        folders=("page",),
    ),
    Group(name="boot", budget_s=9000, what="images booted in QEMU", folders=("boot",)),
    Group(
        name="boot-test",
        budget_s=9000,
        what="real and broken images through the boot test, which is killed at random too",
        folders=("boot_test",),
    ),
)
BY_NAME: Final = {group.name: group for group in GROUPS}
BY_FOLDER: Final = {folder: group.name for group in GROUPS for folder in group.folders}


def group_of(path: Path, named: str | None) -> str | None:
    """The group of a heavy test: the one its mark names, else that of its folder."""
    if named is not None:
        return named if named in BY_NAME else None
    parts = path.relative_to(REPOSITORY / "tests").parts
    return BY_FOLDER.get(parts[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How one group ended."""

    group: Group
    duration_s: float
    passed: int
    failed: int
    skipped: int
    timed_out: bool
    exit_code: int

    @property
    def is_bad(self) -> bool:
        """Whether the run must fail: time that ran out alone is no failure."""
        return self.failed > 0 or (self.exit_code not in {0, 5} and not self.timed_out)

    def line(self) -> str:
        """One line for the summary."""
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        late = f" (out of time after {self.group.budget_s} s)" if self.timed_out else ""
        return f"  {self.group.name:9} {counts} in {self.duration_s:.0f} s{late}"


def run_group(group: Group, arguments: Sequence[str], *, limit_s: float) -> Ran:
    """Run one group to its end or to ``limit_s``."""
    started_s = time.monotonic()
    # a shell starts what it runs in the background with SIGINT ignored, and pytest inherits that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-m", f"heavy_{group.name}"]
        argv += [f"--timeout={group.budget_s}", f"--junitxml={report}", *arguments]
        with subprocess.Popen(argv, cwd=REPOSITORY, start_new_session=True) as child:
            timed_out = not _ends_within(child, limit_s)
            if timed_out:
                _stop(child)
        passed, failed, skipped = _counts(report)
    return Ran(
        group=group,
        duration_s=time.monotonic() - started_s,
        passed=passed,
        failed=failed,
        skipped=skipped,
        timed_out=timed_out,
        exit_code=child.returncode,
    )


def _ends_within(child: subprocess.Popen[bytes], limit_s: float) -> bool:
    try:
        child.wait(limit_s)
    except subprocess.TimeoutExpired:
        return False
    except KeyboardInterrupt:
        _stop(child)
        raise
    return True


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Interrupt pytest so that it writes its report; kill the session it leads if that hangs."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _counts(report: Path) -> tuple[int, int, int]:
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))
    except (OSError, ET.ParseError):
        return 0, 0, 0
    total, bad, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites)
        for name in ("tests", "failures", "skipped")
    )
    errors = sum(int(suite.get("errors", "0")) for suite in suites)
    return max(0, total - bad - errors - skipped), bad + errors, skipped


def main(argv: Sequence[str]) -> int:
    """Run the groups that are named, or all; prints what ran, what was left out and why."""
    parser = argparse.ArgumentParser(prog="bin/test --heavy", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(BY_NAME))
    parser.add_argument("--within", type=float, metavar="S", help="leave out what does not fit")
    parser.add_argument("--list", action="store_true", help="print the groups")
    options, further = parser.parse_known_args(argv)
    if unknown := [name for name in options.groups if name not in BY_NAME]:
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    wanted = [BY_NAME[name] for name in options.groups] or list(GROUPS)
    if options.list:
        print("\n".join(f"{g.name:9} {g.budget_s:5} s  {g.what}" for g in wanted))
        return 0
    return _run_all(wanted, further, options.within)


def _run_all(wanted: Sequence[Group], further: Sequence[str], within_s: float | None) -> int:
    started_s, ran, left_out = time.monotonic(), [], []
    for group in wanted:
        left_s = float("inf") if within_s is None else within_s - (time.monotonic() - started_s)
        if left_s < group.budget_s:
            left_out.append(group)
            continue
        print(f"heavy: {group.name}, {group.what}; at most {group.budget_s} s", flush=True)
        ran.append(run_group(group, further, limit_s=group.budget_s))
    print("heavy: what ran")
    for result in ran:
        print(result.line())
    for group in left_out:
        print(f"  {group.name:9} left out: its {group.budget_s} s no longer fit")
    return 1 if any(result.is_bad for result in ran) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
