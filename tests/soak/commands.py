"""One lane of a soak: commands as a person types them, disturbed at random instants."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e import many
from tests.e2e.command import Desk, Ended
from tests.e2e.zygote import Forked, Zygote
from tests.soak.places import Place, packer_is_here

FILES: Final = {"debian-12": 1, "rocky-9": 7, "ubuntu-24.04": 23}  # MiB
_LONGEST_S: Final = 4.0  # until a disturbance comes; most commands have ended by then
_HANGS_S: Final = 600.0  # a machine may be busy: what runs longer hangs
_CANCELLED, _KILLED = 130, -signal.SIGKILL
# What a store that spoils bytes, or is away, may end a command with.
_STORE_FAILED: Final = frozenset({0, 4, 40, 41, 42})


@dataclass(slots=True)
class Lane:
    """Commands of one working folder, one after the other, until the time is up."""

    place: Place
    zygote: Zygote
    folder: Path
    seed: int
    ended: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    chance: random.Random = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.folder.mkdir(parents=True)
        self.desk = Desk(self.folder, environment=dict(self.place.environment))
        for name, size_mib in FILES.items():
            (self.folder / "disk.raw").write_bytes(self.chance.randbytes(size_mib << 20))
            argv = ("xva", "create", "--name", name, "--disk", "disk.raw", "-o", f"{name}.xva")
            made = self.desk.run(*argv)
            assert made.code == 0, made.all
        copies = (many.GOOD[1], many.GOOD[3], many.FAILING[0])
        many.write(self.folder / "many", copies)

    def run(self, until_s: float) -> None:
        """Draw commands and disturbances until then; ``findings`` says what went wrong."""
        while time.monotonic() < until_s:
            try:
                self._once()
            except Exception as error:  # noqa: BLE001 - the soak goes on and reports it
                self.findings.append(f"{self.place.name}: the lane itself failed: {error!r}")

    def _once(self) -> None:
        command, allowed = self._drawn()
        kinds = ["none"] * 4 + ["kill"] * 3 + ["interrupt"] * 2 + ["terminate"]
        kinds += ["bad line"] * 2 if self.place.bad_line else []
        kinds += ["restart"] if self.place.restart else []
        kind = self.chance.choice(kinds)
        done = self._disturbed(command, kind)
        self.ended[f"{command[0]}, {kind}: {done.code}"] += 1
        if done.code not in allowed | _allowed_by(kind) or "Traceback" in done.all:
            self.findings.append(
                f"{self.place.name}: {' '.join(command)} ({kind}) ended with {done.code}:"
                f" {done.all[-1500:]}"
            )
        if kind == "kill" and self.chance.random() < 0.5:
            self._resume(command)

    def _drawn(self) -> tuple[Sequence[str], frozenset[int]]:
        to = ("--destination", self.place.destination)
        drawn = self.chance.random()
        if drawn < 0.25 and packer_is_here():
            eager = ("--no-eager",) if self.chance.random() < 0.5 else ("--eager",)
            return ("build", "many", "-j2", *eager, "--grace", "2s", *to), frozenset({4})
        if drawn < 0.35:
            return ("list", "--fresh", *to), frozenset({0})
        name = self.chance.choice(list(FILES))
        pace = self.chance.choice(((), ("--bandwidth", "6MiB"), ("--part-size", "5MiB")))
        return ("publish", f"{name}.xva", *pace, *to), frozenset({0})

    def _disturbed(self, command: Sequence[str], kind: str) -> Ended:
        more = self.place.bad_line if kind == "bad line" else None
        delay_s = self.chance.uniform(0, _LONGEST_S)
        return self.command(command, more or {}, lambda child: self._disturb(child, kind), delay_s)

    def _disturb(self, child: Forked, kind: str) -> None:
        number = {
            "kill": signal.SIGKILL,
            "interrupt": signal.SIGINT,
            "terminate": signal.SIGTERM,
        }.get(kind)
        if number is not None:
            child.send(number)
        elif kind == "restart" and self.place.restart:
            self.place.restart()

    def command(
        self,
        argv: Sequence[str],
        more: Mapping[str, str] = {},
        disturb: Callable[[Forked], None] = lambda _: None,
        delay_s: float = 0.0,
    ) -> Ended:
        """Run a command in a child of the zygote, and disturb it after that delay."""
        output = self.folder / "output"
        output.write_text("")  # a child that is killed at once has not made it
        child = self.zygote.fork(
            "asyncpipe.cli.main:run",
            (list(argv),),
            folder=self.folder,
            environment={**self.desk.environment, **more},
            output=output,
        )
        timers = [
            threading.Timer(delay_s, disturb, (child,)),
            threading.Timer(_HANGS_S, child.kill),
        ]
        for timer in timers:
            timer.start()
        code = child.wait()
        for timer in timers:
            timer.cancel()
            timer.join()
        return Ended(code, output.read_text(errors="replace"), "")

    def _resume(self, command: Sequence[str]) -> None:
        if command[0] == "publish":
            again = self.command((*command, "--resume"))
        elif command[0] == "build" and self.runs():
            again = self.command(("build", "--resume", "last", "--grace", "2s"))
        else:
            return
        self.ended[f"{command[0]} --resume: {again.code}"] += 1
        # killed before it had written anything (2), or only the template that fails was left (20)
        if again.code not in {0, 2, 4, 20} or "Traceback" in again.all:
            self.findings.append(
                f"{self.place.name}: {' '.join(command)}, resumed, ended with {again.code}:"
                f" {again.all[-1500:]}"
            )

    def runs(self) -> list[Path]:
        """The folders of all runs and publications that there are."""
        work = self.folder / ".asyncpipe"
        known = [*work.glob("runs/*/run.json"), *work.glob("publish/*/run.json")]
        return sorted(path.parent for path in known)

    def reap(self) -> None:
        """Finish what was interrupted, as a person would."""
        for run in self.runs():
            done = self.command(("reap", "--run", str(run)))
            if done.code:
                self.findings.append(f"{self.place.name}: reap --run {run}: {done.all[-1500:]}")

    def failures(self) -> list[tuple[str, str, Path]]:
        """Unit, timestamp and run folder of each build that failed."""
        found = []
        for run in self.runs():
            record = json.loads((run / "run.json").read_text())
            for name, unit in record["units"].items():
                if unit["state"] == "failed":
                    found.append((name, record["timestamp"], Path(unit["run_directory"])))
        return found


def _allowed_by(kind: str) -> frozenset[int]:
    match kind:
        case "kill":
            return frozenset({_KILLED})
        case "interrupt" | "terminate":
            return frozenset({_CANCELLED, -signal.SIGINT, -signal.SIGTERM, 1})
        case "bad line" | "restart":
            return _STORE_FAILED
        case _:
            return frozenset()
