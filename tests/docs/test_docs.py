"""What the documents say is there, is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from asyncpipe import errors
from asyncpipe.cli.main import COMMANDS, asyncpipe
from tests.docs import actions, reference

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *REPOSITORY.glob("docs/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    targets += re.findall(r'(?:src|srcset)="([^"]+)"', text)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def test_the_table_of_exit_codes_is_that_of_the_errors() -> None:
    text = (REPOSITORY / "docs/exit-codes.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| (\d+) \| (.*?) \|", text, re.MULTILINE))
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    ours = {kind.exit_code for kind in classes if issubclass(kind, errors.AsyncpipeError)}
    ours |= {code for name, code in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(code) for code in told} == ours == set(errors.MEANINGS)
    for code, meaning in errors.MEANINGS.items():
        assert told[str(code)].startswith(meaning)


def test_no_message_sends_a_reader_to_a_page_that_the_wheel_does_not_have() -> None:
    told = [
        f"{path.relative_to(REPOSITORY)}:{line}: {text}"
        for path in (REPOSITORY / "asyncpipe").rglob("*.py")
        for line, text in texts_in(ast.parse(path.read_text(encoding="utf-8")))
        if re.search(r"(?<![\w./-])(docs/\w|README|CONTRIBUTING)", text)
    ]
    assert told == []


def texts_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text that is not a docstring, with its line; a command's docstring is its help."""
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, described)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and not any("command" in ast.unparse(one) for one in getattr(node, "decorator_list", ()))
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            assert isinstance(node, ast.Constant)
            yield node.lineno, str(node.value)


def test_help_lists_every_exit_code() -> None:
    text = asyncpipe.get_help(click.Context(asyncpipe))
    for code, meaning in errors.MEANINGS.items():
        assert re.search(rf"^ +{code} +{re.escape(meaning[:40])}", text, re.MULTILINE), code


def test_the_house_in_the_documentation_has_every_room() -> None:
    text = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {
        f"{path.stem}{'/' if path.is_dir() else '.py'}"
        for path in (REPOSITORY / "asyncpipe").iterdir()
        if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
    }
    told = set(re.findall(r"^  (\w+(?:\.py|/))", text, re.MULTILINE))
    assert rooms - {"schemas/"} == told, rooms ^ told


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'anyio', 'rich', 'botocore', 'hcl2'}"
    code = f"import sys, asyncpipe.cli.main; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_of_options_is_that_of_the_commands() -> None:
    told = reference.PAGE.read_text(encoding="utf-8")
    assert told == reference.page(), "run: python -m tests.docs.reference"


@pytest.mark.parametrize("action", actions.ACTIONS, ids=lambda one: str(one.path))
def test_an_action_is_what_its_command_makes_of_it(action: actions.Action) -> None:
    told = (actions.ROOT / action.path).read_text(encoding="utf-8")
    assert told == actions.text_of(action), "run: python -m tests.docs.reference"


def test_the_page_of_the_actions_lists_what_they_take() -> None:
    told = actions.PAGE.read_text(encoding="utf-8")
    assert told == actions.page(), "run: python -m tests.docs.reference"


def test_every_variable_that_the_documents_name_is_one_that_is_read() -> None:
    """Of the program; what bin/, the action and the tests read has other names."""
    others = {
        "VENV",
        "PROGRAM",
        "PYTHON",
        "DEBUG",
        "TEST_VENV",
        "TEST_CACHE",
        "CI_HEAVY",
        "ONLY_UNITS",
    }
    others |= {"HOST_PASSWORD", "AWS_ROLE", "AWS_AUDIENCE", "TEST_DEBIAN_MIRROR", "TEST_GROUPS"}
    others |= {"TEST_BOOT_NICE"}
    others |= {"TEMPLATES"}  # of arguments, not of an option
    known = set(re.findall(r"`ASYNCPIPE_(\w+)`", reference.page()))
    for page in PAGES:
        named = set(re.findall(r"ASYNCPIPE_([A-Z][A-Z0-9_]*\w)", page.read_text(encoding="utf-8")))
        of_mirror = {
            name for name in named if name.startswith("SOURCE_AWS_")
        }  # before any AWS_ name
        assert named - of_mirror <= known | others, page


# click-man 0.6 calls a helper that click 8.5 calls deprecated; the pages are whole
@pytest.mark.filterwarnings("ignore:'click:DeprecationWarning")
def test_every_command_has_a_man_page_with_its_variables(tmp_path: Path) -> None:
    reference.write_man_pages(tmp_path)
    for name in ("asyncpipe", *(f"asyncpipe-{name}" for name in COMMANDS)):
        assert (tmp_path / f"{name}.1").read_text(encoding="utf-8").startswith(".TH")
    assert "ASYNCPIPE_DESTINATION" in (tmp_path / "asyncpipe-build.1").read_text(encoding="utf-8")
