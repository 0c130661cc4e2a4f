"""The evaluator against Packer's own console: generated expressions and whole folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncpipe.errors import TemplateError
from asyncpipe.model.template import UNKNOWN
from tests.template import recording
from tests.template.console import Answer, Console, ours
from tests.templates.real_packer import current_packer

EXPRESSIONS = 2400
FOLDERS = 200
MAX_UNKNOWN = 0.01

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]


def test_generated_expressions_have_packers_values(tmp_path: Path) -> None:
    folder = recording.copy_of(recording.RECORDED / "folder", tmp_path)
    console = Console(packer=current_packer().packer, folder=folder)
    wrong: dict[str, tuple[Answer, Answer]] = {}
    unknown = known = 0
    expressions = recording.generated(EXPRESSIONS, 1)
    for start in range(0, len(expressions), 200):
        batch = expressions[start : start + 200]
        answers = zip(batch, console.answers(batch), ours(folder, batch), strict=True)
        for text, theirs, mine in answers:
            known += theirs is not UNKNOWN
            unknown += mine is UNKNOWN is not theirs
            if mine not in (theirs, UNKNOWN):
                wrong[text] = (theirs, mine)
    assert len(expressions) >= 2000
    assert not wrong
    assert unknown <= known * MAX_UNKNOWN


@dataclass(frozen=True, slots=True)
class _Folder:
    """The files of a template, and how it is called."""

    files: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


_TYPES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.sampled_from(["x", "12.50", "", "true", 12, 1.5]),
    "number": st.sampled_from([0, 2, 1.5, "7", "1e2"]),
    "bool": st.sampled_from([True, False, "true"]),
    "list(string)": st.lists(st.sampled_from(["b", "a", 1, "1.50"]), max_size=3),
    "set(number)": st.lists(st.sampled_from([3, 1, "1", 2.5]), max_size=3),
    "map(string)": st.dictionaries(st.sampled_from("zab"), st.sampled_from(["v", 1, True])),
    "object({a = string, b = optional(number, 5)})": st.fixed_dictionaries(
        {"a": st.sampled_from(["v", 1])}, optional={"b": st.sampled_from([1, "2"])}
    ),
    "tuple([string, number])": st.sampled_from([[1, 2], ["a", "3"], [1, "3"]]),
    "any": st.sampled_from(["x", 1, [1, "a"], {"b": 1, "a": [True]}, {}, []]),
    "": st.sampled_from(["x", 1, True, ["b", 1], {"k": "v"}]),
}  # fmt: skip


def _hcl(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_hcl(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_hcl, value))}]"
    return json.dumps(value)


def _as_argument(value: Any) -> str:
    return value if isinstance(value, str) else _hcl(value)


@st.composite
def _folders(draw: st.DrawFn) -> _Folder:
    names = draw(st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, unique=True))
    files = {
        "b.pkr.hcl": 'source "null" "x" { communicator = "none" }\nbuild { sources = ["null.x"] }\n'
    }
    places = [
        "a.auto.pkrvars.json",
        "b.auto.pkrvars.hcl",
        ".c.auto.pkrvars.hcl",
        "given.pkrvars.hcl",
    ]
    assigned: dict[str, dict[str, Any]] = {place: {} for place in (*places, "-var", "env")}
    declared = ""
    for name in names:
        type_ = draw(st.sampled_from(sorted(_TYPES)))
        line = f"type = {type_}\n  " if type_ else ""
        declared += f'variable "{name}" {{\n  {line}default = {_hcl(draw(_TYPES[type_]))}\n}}\n'
        for place in draw(st.lists(st.sampled_from(sorted(assigned)), max_size=3, unique=True)):
            assigned[place][name] = draw(_TYPES[type_])
    files["a.pkr.hcl"] = (
        declared + "locals {\n  all = [" + ", ".join(f"var.{n}" for n in names) + "]\n}\n"
    )
    for place in places:
        if place.endswith(".json"):
            files[place] = json.dumps(assigned[place])
        else:
            lines = (f"{name} = {_hcl(value)}\n" for name, value in assigned[place].items())
            files[place] = "".join(lines)
    given = (f"-var={name}={_as_argument(value)}" for name, value in assigned["-var"].items())
    environment = {f"PKR_VAR_{n}": _as_argument(value) for n, value in assigned["env"].items()}
    return _Folder(files, ("-var-file=given.pkrvars.hcl", *given), environment)


def test_whole_folders_have_packers_values(tmp_path_factory: pytest.TempPathFactory) -> None:
    packer = current_packer().packer
    accepted: list[_Folder] = []

    @settings(
        max_examples=FOLDERS, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(_folders())
    def compare(made: _Folder) -> None:
        folder = tmp_path_factory.mktemp("folder")
        for name, text in made.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        wanted = ["local.all", *(f"var.{name}" for name in ("one", "two", "three"))]
        console = Console(
            packer=packer, folder=folder, arguments=made.arguments, environment=made.environment
        )
        theirs = console.answers(wanted)
        given_texts = dict(
            one[5:].split("=", 1) for one in made.arguments if one.startswith("-var=")
        )
        try:
            mine = ours(
                folder,
                wanted,
                var_files=[folder / "given.pkrvars.hcl"],
                variables=given_texts,
                environment=made.environment,
            )
        except TemplateError:
            mine = [False] * len(wanted)
        if any(theirs):  # else Packer refuses the folder, and what we know of it harms nobody
            accepted.append(made)
            assert mine == theirs

    compare()
    assert len(accepted) > FOLDERS // 2
