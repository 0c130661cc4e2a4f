"""Clients that take turns, each run in a process of its own, and what they cost."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Costs = dict[str, float]  # of one run, or medians: wall_s, cpu_s, peak_mib ...
Results = dict[str, list[Costs]]  # client -> its runs

_REASON_LINES = 12


class ClientError(Exception):
    """A client did not do what it was asked for; the text has its last words."""


@dataclass(slots=True, kw_only=True)
class Turns:
    """How often each client runs, and what went wrong.

    ``most_rounds`` bounds the rounds of dear clients. No round begins after ``ends_s`` (of
    ``time.monotonic``). ``after(client, number)`` removes what a run has left, failed or not.
    """

    rounds: int
    most_rounds: Mapping[str, int] = field(default_factory=dict)
    after: Callable[[str, int], None] | None = None
    ends_s: float = math.inf
    failures: list[str] = field(default_factory=list)

    def take(self, clients: Sequence[str], run: Callable[[str, int], Costs]) -> Results:
        """Run all clients round by round; one that fails is left out from then on."""
        results: Results = {client: [] for client in clients}
        for number in range(self.rounds):
            if number and time.monotonic() > self.ends_s:
                break
            for client in list(results):
                if number < self.most_rounds.get(client, self.rounds):
                    self._one(client, number, run, results)
        return results

    def _one(
        self, client: str, number: int, run: Callable[[str, int], Costs], results: Results
    ) -> None:
        try:
            results[client].append(run(client, number))
            print(f"round {number + 1} {client}: {results[client][-1]}", file=sys.stderr)
        except ClientError as error:
            del results[client]
            self.failures.append(f"{client}: {error}")
            print(f"round {number + 1} {client} failed: {error}", file=sys.stderr)
        finally:
            if self.after is not None:
                self.after(client, number)


def run_json(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Costs:
    """Run a client; returns the last line of its output; ClientError with its last words."""
    done = subprocess.run(command, check=False, capture_output=True, env=environment)
    if done.returncode:
        lines = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        said = "\n  ".join(lines[-_REASON_LINES:])
        raise ClientError(f"exit status {done.returncode}\n  {said}")
    found: Costs = json.loads(done.stdout.splitlines()[-1])
    return found


def median_of(runs: Sequence[Costs]) -> Costs:
    """Return the median of each column."""
    return {column: statistics.median(run[column] for run in runs) for column in runs[0]}
