"""The list of clone problems: each is found by something that exists, and the page shows it."""

from __future__ import annotations

import ast

from tests.provisioning.clone_problems import BEGIN, DOCUMENT, END, PROBLEMS, table
from tests.templates.needs import REPO


def test_each_problem_is_found_by_a_message_or_a_test_that_exists() -> None:
    files = {test.file for problem in PROBLEMS for test in problem.tests}
    there = {(file, name) for file in files for name in _functions(file)}
    assert [problem.what for problem in PROBLEMS if not (problem.faults or problem.tests)] == []
    wanted = {(test.file, test.name) for problem in PROBLEMS for test in problem.tests}
    assert wanted - there == set()


def _functions(file: str) -> list[str]:
    body = ast.parse((REPO / file).read_text()).body
    return [node.name for node in body if isinstance(node, ast.FunctionDef)]


def test_the_page_shows_the_list() -> None:
    shown = DOCUMENT.read_text().split(BEGIN)[1].split(END)[0]
    assert shown.strip() == table().strip(), "run python -m tests.provisioning.clone_problems"
