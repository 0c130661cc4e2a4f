"""Writes the actions from the commands that they run: one input for each option with a variable.

``python -m tests.docs.reference`` calls it; a test compares the files.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from asyncpipe.cli.main import COMMANDS, asyncpipe
from asyncpipe.cli.options.command import PREFIX
from asyncpipe.errors import MEANINGS
from asyncpipe.report.github.annotations import KINDS, MAX_PER_TYPE, Kind

PAGE: Final = Path(__file__).parents[2] / "docs/github-actions.md"
_BEGIN: Final = "<!-- written by python -m tests.docs.reference: begin -->"
_END: Final = "<!-- end -->"
_WIDTH: Final = 90
ROOT: Final = Path(__file__).parents[2]
_WORK: Final = "${{ inputs.work-directory || format('{0}/asyncpipe', runner.temp) }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of an action."""

    name: str
    variable: str
    description: str
    required: bool = False
    value: str = ""  # an expression, where the input alone is not it


_ROLE = Input(
    name="aws-role",
    variable="ASYNCPIPE_AWS_ROLE",
    description="ARN of a role to publish with, by OIDC; the job needs `id-token: write`. Its"
    " session is renewed for as long as the build takes. Empty: the environment's credentials.",
)
_REGION = Input(
    name="region",
    variable="AWS_REGION",
    description="Region of the bucket. Default: AWS_REGION of the environment.",
    value="${{ inputs.region || env.AWS_REGION }}",
)
_WORK_DIRECTORY = Input(
    name="work-directory",
    variable="ASYNCPIPE_WORK_DIRECTORY",
    description="Where runs live; it needs room for the XVAs. Default: asyncpipe in the runner's"
    " temporary folder, which the next job finds empty; to resume a run there, name another.",
    value=_WORK,
)
_TEMPLATES = "Templates, folders or globs: a shell's words, or a JSON array of texts."
_DESTINATION = "Where to publish: s3://bucket/prefix, or a folder outside of the workspace."


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action: where it is, what it runs, and what it hands on."""

    path: str
    name: str
    description: str
    command: str
    branding: tuple[str, str]  # icon, colour
    inputs: tuple[Input, ...] = ()  # before those of the command's options; the same name replaces
    required: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()  # options
    outputs: Mapping[str, str]


ACTIONS: Final = (
    Action(
        path="action.yml",
        name="asyncpipe",
        description="Build XCP-ng/XenServer templates with Packer, verify the exported XVA and"
        " publish it with metadata and log. For a self-hosted Linux runner that reaches the pool.",
        command="build",
        branding=("package", "blue"),
        inputs=(
            Input(name="templates", variable="ASYNCPIPE_TEMPLATES", description=_TEMPLATES),
            Input(name="destination", variable="ASYNCPIPE_DESTINATION", description=_DESTINATION),
            _ROLE,
            _REGION,
            _WORK_DIRECTORY,
        ),
        required=frozenset({"templates", "destination"}),
        left_out=frozenset({"resume"}),
        outputs={
            "urls": "The published folders, one a line.",
            "metadata": "A JSON object, template name to metadata (without packages).",
            "published-count": "How many templates were published.",
            "failed-count": "How many templates failed.",
            "not-started-count": "How many templates --fail-fast left out.",
            "run-directory": "The run's folder, with log and state; the action reap takes it.",
            "exit-code": "0 published, 4 some failed; docs/exit-codes.md lists the others.",
        },
    ),
    Action(
        path="plan/action.yml",
        name="asyncpipe plan",
        description="Plan the builds of templates as jobs of a matrix, the longest first.",
        command="matrix",
        branding=("list", "blue"),
        inputs=(
            Input(
                name="templates",
                variable="ASYNCPIPE_TEMPLATES",
                description=f"{_TEMPLATES} Default: templates.",
            ),
            Input(
                name="destination",
                variable="ASYNCPIPE_DESTINATION",
                description=f"{_DESTINATION} How long each build took before is read there.",
            ),
            Input(
                name="changed-since",
                variable="ASYNCPIPE_CHANGED_SINCE",
                description="Only what a change since this commit touches; everything where the"
                " commit is not in the checkout (a new branch, a forced push).",
            ),
            _ROLE,
            _REGION,
        ),
        required=frozenset({"destination"}),
        outputs={
            "matrix": "A JSON array with an object for each job; `[]` when nothing is to be built.",
            "count": "How many builds are planned.",
            "exit-code": "0, or 3 when a template could not be read: the others are planned.",
        },
    ),
    Action(
        path="reap/action.yml",
        name="asyncpipe reap",
        description="Clean up after a run that was cancelled, killed or failed: uploads, what it"
        " had half published, and VMs, disks and images on the pool. For an `if: always()` step.",
        command="reap",
        branding=("trash-2", "blue"),
        inputs=(
            Input(
                name="run-directory",
                variable="ASYNCPIPE_RUN_DIRECTORY",
                description="The output of that name of the build step. Empty, as after a kill: the"
                " last run of the work folder that has ended. A run that lives is never touched.",
            ),
            Input(
                name="older-than",
                variable="ASYNCPIPE_OLDER_THAN",
                description="Instead of one run: everything at the destination that is open for"
                " longer than this, 1d for example.",
            ),
            Input(name="destination", variable="ASYNCPIPE_DESTINATION", description=_DESTINATION),
            _ROLE,
            _REGION,
            _WORK_DIRECTORY,
        ),
        required=frozenset({"destination"}),
        outputs={"exit-code": "0 nothing is left; 40 something is, and the log names it."},
    ),
)


def text_of(action: Action) -> str:
    """The whole file."""
    inputs = list(_inputs(action))
    lines = [
        f"# Written by `python -m tests.docs.reference` from `asyncpipe {action.command}`.",
        f"name: {action.name}",
        *_described(action.description, ""),
        "author: asyncpipe",
        "branding:",
        f"  icon: {action.branding[0]}",
        f"  color: {action.branding[1]}",
        "",
        "inputs:",
    ]
    for one in inputs:
        lines += [f"  {one.name}:", *_described(one.description, "    ")]
        lines += ["    required: true"] if one.required else ['    default: ""']
    lines += ["", "outputs:"]
    for name, description in action.outputs.items():
        lines += [f"  {name}:", *_described(description, "    ")]
        lines.append(f"    value: ${{{{ steps.run.outputs.{name} }}}}")
    lines += ["", "runs:", "  using: composite", "  steps:", f"    - name: {action.name}"]
    lines += ["      id: run", "      shell: bash", "      env:"]
    lines += [f"        {one.variable}: {_value(one)}" for one in inputs]
    lines += [
        "      # exec, and no pipe: the runner signals this step's first process only.",
        "      run: |",
    ]
    lines += [f"        {line}" for line in _script(action)]
    return "\n".join(lines) + "\n"


def _described(text: str, indent: str) -> Iterator[str]:
    if len(text) < _WIDTH:
        yield f"{indent}description: {json.dumps(text)}"
        return
    yield f"{indent}description: >-"
    for line in textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False):
        yield f"{indent}  {line}"


def _value(one: Input) -> str:
    return one.value or f"${{{{ inputs.{one.name} }}}}"


def _script(action: Action) -> Iterator[str]:
    if "/" not in action.path:
        # build/action.yml is a link to it: a workflow of this repository can name that as $/build
        yield "root=$GITHUB_ACTION_PATH"
        yield 'if ! [ -x "$root/bin/step" ]; then root=$root/..; fi'
        yield f'exec "$root/bin/step" {action.command}'
    else:
        yield f'exec "$GITHUB_ACTION_PATH/../bin/step" {action.command}'


def _inputs(action: Action) -> Iterator[Input]:
    own = {one.name: one for one in action.inputs}
    options = {one.name: one for one in _of_options(action.command)}
    for name, one in {**own, **options, **own}.items():
        if name not in action.left_out:
            yield Input(
                name=name,
                variable=one.variable,
                description=one.description,
                required=name in action.required,
                value=one.value,
            )


def _of_options(name: str) -> Iterator[Input]:
    root = click.Context(asyncpipe, info_name="asyncpipe", **asyncpipe.context_settings)
    command = asyncpipe.get_command(root, name)
    assert command is not None
    context = click.Context(command, parent=root, info_name=name)
    for option in command.params:
        names = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
        if not names or not isinstance(option, click.Option) or option.hidden:
            continue
        variable = names[0]
        default = option.get_help_extra(context).get("default", "")
        extra = f" Default: {default}." if default else ""
        yield Input(
            name=variable.removeprefix(PREFIX).lower().replace("_", "-"),
            variable=variable,
            description=f"{option.help}{extra}",
        )


def tables() -> str:
    """Inputs and outputs of every action, in Markdown."""
    parts = []
    for action in ACTIONS:
        folder = "" if "/" not in action.path else f"/{action.path.partition('/')[0]}"
        parts.append(f"### `OWNER/asyncpipe{folder}`\n\n{action.description}\n")
        parts.append("| input | |\n|---|---|")
        parts[-1] += "".join(
            f"\n| `{one.name}`{' (required)' if one.required else ''} | {_cell(one.description)} |"
            for one in _inputs(action)
        )
        parts.append("\n| output | |\n|---|---|")
        parts[-1] += "".join(f"\n| `{k}` | {_cell(v)} |" for k, v in action.outputs.items())
        parts.append("")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# What scripts print themselves; every other annotation is one of ``KINDS``.
_OF_SHELL: Final = {
    ("error", "asyncpipe: exit code 2"): "no Python, or its packages cannot be installed",
    ("error", "Templates"): "the reusable workflow: a plan or build failed, or a plan was lost",
}


def _titled(kind: Kind) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), kind.title)


def _in_shell() -> list[tuple[str, str]]:
    """Annotations of programs and workflows; KeyError where one is new."""
    paths = sorted([*(ROOT / "bin").iterdir(), *(ROOT / ".github/workflows").glob("*.yml")])
    found = [
        (match[1], match[2].replace("%%3A", ":"))
        for path in paths
        for match in re.finditer(r"::(error|warning|notice) title=([^:]+)::", path.read_text())
    ]
    assert set(found) == set(_OF_SHELL)
    return found


def annotation_table() -> str:
    """Which annotations there are, in Markdown."""
    rows = [(one.level, _titled(one), one.when) for one in KINDS]
    rows += [(*key, _OF_SHELL[key]) for key in _in_shell()]
    lines = ["| kind | title | when |", "|---|---|---|"]
    lines += [f"| {kind} | _{title}_ | {when} |" for kind, title, when in rows]
    codes = ", ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
    limit = f"At most {MAX_PER_TYPE} of a kind are shown for a step, those with a line first."
    return "\n".join(lines) + f"\n\n{limit} Exit codes: {codes}.\n"


def page() -> str:
    """docs/github-actions.md with its reference written anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}\n\n{tables()}\n### Annotations\n\n{annotation_table()}\n{_END}{after}"


def write() -> None:
    """Write every action, and the page that lists what they take."""
    assert set(COMMANDS) >= {action.command for action in ACTIONS}
    for action in ACTIONS:
        (ROOT / action.path).write_text(text_of(action), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
