"""Phrases that read as translated stay out of what people read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.test_docs import PAGES, REPOSITORY

STILTED = (
    r"(?:is|are|was|were|be) told(?! apart)",
    r"at hand",
    r"of one's own",
    r"the manners of",
    r"puts? (?:\w+ ){0,5}at stake",
    r"shows? what one sees",
    r"what one sees",
    r"by environment, never by argument",
    r"(?:is|are) none of",
    r"tells? (?:how|that|what|whether|which|when|where|why)\b(?! apart)",
    r"gets? no updates since",
    r"in its turn",
    r"as follows hereafter",
    r"such a one",
    r"people who have to do with",
)
PATTERN = re.compile(rf"\b(?:{'|'.join(STILTED)})", re.IGNORECASE)
READ = [*PAGES, REPOSITORY / "CHANGELOG.md"]
CODE = [*REPOSITORY.glob("asyncpipe/**/*.py"), *REPOSITORY.glob("asyncpipe/starter/ci/*")]
CODE += [path for path in REPOSITORY.glob("templates/**/*.hcl") if not path.is_symlink()]
CODE += [*REPOSITORY.glob("provisioning/**/*.sh"), *REPOSITORY.glob(".github/**/*.yml")]


def found_in(text: str) -> list[str]:
    flat = re.sub(r"\s*\n[ #]*", " ", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [flat[max(0, hit.start() - 40) : hit.end() + 20] for hit in PATTERN.finditer(flat)]


@pytest.mark.parametrize("page", READ, ids=lambda page: page.name)
def test_a_page_reads_as_a_native_speaker_writes(page: Path) -> None:
    assert found_in(page.read_text(encoding="utf-8")) == []


def test_so_do_messages_docstrings_and_comments() -> None:
    assert len(CODE) > 300
    found = {str(path): found_in(path.read_text(encoding="utf-8")) for path in CODE}
    assert {path: hits for path, hits in found.items() if hits} == {}


def test_the_phrases_are_found_across_lines() -> None:
    assert found_in("what is lost is\ntold as such")
    assert not found_in("The person told us so.")
