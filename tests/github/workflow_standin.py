"""Runs a whole workflow of ours as GitHub does: jobs, matrices, called workflows, actions.

Only ``run`` steps do something, under the runner stand-in; a checkout finds the workspace ready.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.github.expressions import as_text, is_true, value_of
from tests.github.runner_standin import RunningStep, Step
from tests.github.workflow_files import ROOT

STEP_S = 300


@dataclass(slots=True, kw_only=True)
class Ran:
    """One job that ran."""

    name: str
    result: str  # success, failure, skipped
    steps: dict[str, Step] = field(default_factory=dict)  # by name, those that ran
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Everything around a workflow: the event, what the repository has set, the machine."""

    folder: Path
    workspace: Path
    github: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    own: Path = ROOT  # the repository that holds the workflow and its actions
    until: str = ""  # the last job that is run of the workflow that has it; "" for all

    def run(self, path: Path, inputs: Mapping[str, Any] | None = None) -> dict[str, list[Ran]]:
        """Run a workflow to its end; jobs by id, those of a called one by ``caller/id``."""
        document = yaml.safe_load(path.read_text())
        trigger = document[True]  # YAML 1.1 takes `on` for a boolean
        event = "workflow_call" if "workflow_call" in trigger else self.github["event_name"]
        described = trigger.get(event) if isinstance(trigger, dict) else None
        known = described.get("inputs", {}) if isinstance(described, dict) else {}
        given = dict(inputs or {})
        assert given.keys() <= known.keys(), given.keys() - known.keys()
        values = {name: given.get(name, one.get("default", "")) for name, one in known.items()}
        if event in {"push", "schedule"}:
            values = {}
        done: dict[str, list[Ran]] = {}
        for name in _in_order(document["jobs"]):
            self._job(name, document, values, done)
            if name == self.until:
                break
        return done

    def _job(
        self, name: str, document: Mapping[str, Any], inputs: Mapping[str, Any],
        done: dict[str, list[Ran]],
    ) -> None:  # fmt: skip
        job = document["jobs"][name]
        needed = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        results = {one: _result(done[one]) for one in needed}
        contexts = self._contexts(inputs) | {
            "needs": {
                one: {"result": results[one], "outputs": done[one][-1].outputs} for one in needed
            },
            "functions": _functions(all(one == "success" for one in results.values())),
        }
        condition = str(job.get("if", "success()"))
        if not is_true(_condition(condition, contexts)):
            done[name] = [Ran(name=name, result="skipped")]
            return
        if "uses" in job:
            self._call(name, job, contexts, done)
            return
        environment = document.get("env", {})
        legs = _legs(job, contexts)
        at_once = int(value_of(job.get("strategy", {}).get("max-parallel", 1), contexts))
        with ThreadPoolExecutor(max_workers=min(at_once, 4)) as pool:
            done[name] = list(
                pool.map(lambda leg: self._leg(name, job, contexts | leg, environment), legs)
            )

    def _call(
        self, name: str, job: Mapping[str, Any], contexts: Mapping[str, Any],
        done: dict[str, list[Ran]],
    ) -> None:  # fmt: skip
        path = self._place(job["uses"])
        assert path is not None
        inputs = {key: value_of(one, contexts) for key, one in job.get("with", {}).items()}
        secrets = {key: value_of(one, contexts) for key, one in job.get("secrets", {}).items()}
        called = Runner(
            folder=self.folder, workspace=self.workspace, github=self.github,
            variables=self.variables, secrets=secrets, environment=self.environment, own=self.own,
            until=self.until,
        ).run(path, inputs)  # fmt: skip
        done.update({f"{name}/{key}": one for key, one in called.items()})
        bad = any(_result(one) == "failure" for one in called.values())
        done[name] = [Ran(name=name, result="failure" if bad else "success")]

    def _leg(
        self,
        name: str,
        job: Mapping[str, Any],
        contexts: Mapping[str, Any],
        environment: Mapping[str, str],
    ) -> Ran:
        """One job of a matrix, in a runner of its own with an empty temporary folder."""
        assert float(value_of(job["timeout-minutes"], contexts)) > 0
        assert value_of(job["runs-on"], contexts)
        ran = Ran(name=as_text(value_of(job.get("name", name), contexts)), result="success")
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{name}-"))
        contexts = {**contexts, "runner": {"temp": str(folder / "temp")}, "steps": {}}
        (folder / "temp").mkdir()
        for number, step in enumerate(job["steps"]):
            contexts["functions"] = _functions(ran.result == "success")
            if not is_true(_condition(str(step.get("if", "success()")), contexts)):
                continue
            place = folder / str(number)
            place.mkdir()
            done = self._step(step, contexts, place, environment)
            if done is None:
                continue
            ran.steps[step.get("name", str(number))] = done
            if "id" in step:
                contexts["steps"][step["id"]] = {"outputs": done.outputs}
            if done.return_code and not step.get("continue-on-error"):
                ran.result = "failure"
        ran.outputs = {key: value_of(one, contexts) for key, one in job.get("outputs", {}).items()}
        return ran

    def _step(
        self,
        step: Mapping[str, Any],
        contexts: Mapping[str, Any],
        folder: Path,
        environment: Mapping[str, str],
    ) -> Step | None:
        """Run one step; None for a foreign action."""
        given = {**environment, **step.get("env", {})}
        values = {key: as_text(value_of(one, contexts)) for key, one in given.items()}
        if "run" in step:
            return self._script(step["run"], values, folder, contexts)
        place = self._place(step["uses"])
        if place is None:
            return None
        action = yaml.safe_load((place / "action.yml").read_text())
        known = {key: one.get("default", "") for key, one in action["inputs"].items()}
        inputs = {key: value_of(one, contexts) for key, one in step.get("with", {}).items()}
        assert inputs.keys() <= known.keys(), inputs.keys() - known.keys()
        (inner,) = action["runs"]["steps"]
        texts = {key: as_text(one) for key, one in (known | inputs).items()}
        within = {**contexts, "inputs": texts, "env": values, "steps": {}}
        own = {key: as_text(value_of(one, within)) for key, one in inner["env"].items()}
        values = {**values, **own, "GITHUB_ACTION_PATH": str(place)}
        done = self._script(inner["run"], values, folder, contexts)
        within["steps"] = {inner["id"]: {"outputs": dict(done.outputs)}}
        done.outputs = {
            key: as_text(value_of(one["value"], within)) for key, one in action["outputs"].items()
        }
        return done

    def _place(self, uses: str) -> Path | None:
        """Where an action or a called workflow of ours is; None for anybody else's."""
        name = uses.partition("@")[0]
        for ours in ("$/", "./", "OWNER/asyncpipe/"):
            if f"{name}/".startswith(ours):
                return self.own / name.removeprefix(ours.rstrip("/")).lstrip("/")
        return None

    def _script(
        self, script: str, values: Mapping[str, str], folder: Path, contexts: Mapping[str, Any]
    ) -> Step:
        assert "${{" not in script
        running = RunningStep(
            script,
            folder=folder,
            working_directory=self.workspace,
            environment={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "GITHUB_WORKSPACE": str(self.workspace),
                "GITHUB_SERVER_URL": "https://github.example",
                "GITHUB_REPOSITORY": as_text(self.github.get("repository")),
                "GITHUB_RUN_ID": as_text(self.github.get("run_id")),
                "GITHUB_RUN_ATTEMPT": as_text(self.github.get("run_attempt")),
                "RUNNER_TEMP": contexts["runner"]["temp"],
                **self.environment,
                **values,
            },
        )
        try:
            return running.wait(STEP_S)
        finally:
            running.sweep()

    def _contexts(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "github": self.github,
            "inputs": inputs,
            "vars": self.variables,
            "secrets": self.secrets,
        }


def _condition(text: str, contexts: Mapping[str, Any]) -> Any:
    """An ``if``: braces may be left out, and without a status function success() is asked too."""
    braced = text if "${{" in text else f"${{{{ {text} }}}}"
    asks = any(f"{name}()" in text for name in ("always", "success", "failure", "cancelled"))
    fine = asks or contexts["functions"]["success"]()
    return fine and value_of(braced, contexts)


def _functions(fine: bool) -> dict[str, Any]:
    return {
        "always": lambda: True,
        "success": lambda: fine,
        "failure": lambda: not fine,
        "cancelled": lambda: False,
    }


def _legs(job: Mapping[str, Any], contexts: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    matrix = job.get("strategy", {}).get("matrix")
    if not matrix:
        return [{}]
    ((key, values),) = matrix.items()
    found = value_of(values, contexts)
    assert found, "an empty matrix is an error"
    assert len(found) <= 256
    return [{"matrix": {key: one}} for one in found]


def _in_order(jobs: Mapping[str, Any]) -> Iterator[str]:
    left = dict(jobs)
    while left:
        for name, job in list(left.items()):
            needs = job.get("needs", [])
            if not {needs} & left.keys() if isinstance(needs, str) else not {*needs} & left.keys():
                yield name
                del left[name]


def _result(legs: Sequence[Ran]) -> str:
    results = {leg.result for leg in legs}
    return "failure" if "failure" in results else results.pop()
