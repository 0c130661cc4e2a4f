"""Where a run comes from: commit, working tree, CI run -> RunFacts; what is not known is None."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio

from asyncpipe import __version__
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.documents.catalog import Filler, repository_of
from asyncpipe.model.run import CiFacts, RunFacts
from asyncpipe.ports import Command, ProcessRunner
from asyncpipe.system.capture import capture
from asyncpipe.text.safe import printable, without_userinfo

GATHER_S: Final = 5.0
_COMMIT = re.compile(r"^([0-9a-f]{40}|[0-9a-f]{64})$", re.MULTILINE)
_CHANGED = re.compile(r"^[ MTADRCU]{2} ", re.MULTILINE)  # git status --porcelain=v1
_ATTEMPT = re.compile(r"(?P<run>https?://.+/actions/runs/\d+)/attempts/(?P<number>\d{1,6})")
_PASSED_ON = ("PATH", "HOME", "GIT_DIR", "GIT_WORK_TREE", "GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME")


async def gather(
    runner: ProcessRunner,
    *,
    environment: Mapping[str, str],
    cwd: Path,
    timeout_s: float = GATHER_S,
) -> RunFacts:
    """Ask git and the CI's variables; takes at most ``timeout_s`` and never raises."""
    answers: dict[str, str] = {}

    async def ask(name: str, *arguments: str) -> None:
        answer = await _git(runner, arguments, environment=environment, cwd=cwd, limit_s=timeout_s)
        if answer is not None:
            answers[name] = answer

    with anyio.move_on_after(timeout_s):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "commit", "rev-parse", "--show-prefix", "HEAD")
            # untracked files are left out: run folders and caches would make every tree dirty
            tasks.start_soon(ask, "status", "status", "--porcelain=v1", "--untracked-files=no")
            tasks.start_soon(ask, "remote", "config", "--get", "remote.origin.url")
    commit = _COMMIT.search(answers.get("commit", ""))
    return RunFacts(
        tool_version=__version__,
        git_commit=commit[1] if commit else _known(environment, "GITHUB_SHA"),
        git_dirty=_CHANGED.search(answers["status"]) is not None if "status" in answers else None,
        git_remote=_remote(answers.get("remote", "")) or _repository_url(environment),
        git_prefix=_prefix(answers.get("commit", "")),
        ci=github_facts(environment),
    )


def filler_of(plan: BuildPlan, facts: RunFacts) -> Filler | None:
    """The template that a build is of, as its place remembers it; None for a file of no template.

    Its path is seen from the checkout's top, so that it does not matter where a build was started;
    without a checkout it is seen from the current folder.
    """
    if plan.template.kind == "file":
        return None
    folder = plan.working_directory
    below = posixpath.join(facts.git_prefix, os.path.relpath(folder / plan.template.path, folder))
    path = posixpath.normpath(below)
    if path.startswith("..") or (path == "." and facts.git_remote is None):
        path = (folder / plan.template.path).resolve().name  # never a path of this machine
    build = plan.source_name if len(plan.template.sources) > 1 else None
    return Filler(repository=repository_of(facts.git_remote), path=path, build=build)


def github_facts(environment: Mapping[str, str]) -> CiFacts | None:
    """Return what GitHub Actions says about its run; None elsewhere.

    Names: https://docs.github.com/actions/reference/variables-reference (default variables).
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return None

    def read(name: str) -> str:
        return printable(environment.get(name, ""), 500)

    repository, run = _repository_url(environment), read("GITHUB_RUN_ID")
    attempt = read("GITHUB_RUN_ATTEMPT")
    url = f"{repository}/actions/runs/{run}" if repository and run else ""
    return CiFacts(
        provider="github",
        run_url=f"{url}/attempts/{attempt}" if url and attempt else url,
        workflow=read("GITHUB_WORKFLOW"),
        workflow_ref=read("GITHUB_WORKFLOW_REF"),
        job=read("GITHUB_JOB"),
        event=read("GITHUB_EVENT_NAME"),
        ref=read("GITHUB_REF"),
        actor=read("GITHUB_ACTOR"),
        runner=read("RUNNER_NAME"),
    )


def is_earlier_attempt(run_url: str, environment: Mapping[str, str]) -> bool:
    """Whether ``run_url`` is that of an earlier attempt of the workflow run that we are part of."""
    now = github_facts(environment)
    here, attempt = _ATTEMPT.fullmatch(now.run_url if now else ""), _ATTEMPT.fullmatch(run_url)
    if here is None or attempt is None:
        return False
    return here["run"] == attempt["run"] and int(attempt["number"]) < int(here["number"])


async def _git(
    runner: ProcessRunner,
    arguments: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    limit_s: float,
) -> str | None:
    """Run git without its hooks, prompts and locks; None when it has no answer."""
    command = Command(
        # a repository may name a program here that git would start
        argv=("git", "-c", "core.fsmonitor=false", *arguments),
        cwd=cwd,
        environment={
            **{name: environment[name] for name in _PASSED_ON if name in environment},
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        },
    )
    try:
        answer = await capture(runner, command, timeout_s=limit_s)
    except (AsyncpipeError, OSError):
        return None
    return answer.text if answer.return_code == 0 else None


def _remote(text: str) -> str | None:
    lines = text.strip().splitlines()
    if not lines:
        return None
    url = without_userinfo(lines[-1])
    return printable(url if "://" in url else re.sub(r"^[^@/\s]*@", "", url), 500)


def _prefix(text: str) -> str:
    first = text.split("\n", 1)[0]
    return printable(first, 500) if first.endswith("/") else ""


def _repository_url(environment: Mapping[str, str]) -> str | None:
    server = _known(environment, "GITHUB_SERVER_URL")
    repository = _known(environment, "GITHUB_REPOSITORY")
    return printable(without_userinfo(f"{server}/{repository}"), 500) if repository else None


def _known(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name) or None
