"""Mutants that once lived: each is killed by ordinary tests now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.runner import REPOSITORY

NAMED = (
    (
        "the wrong object is not removed",
        "asyncpipe/upload/completion.py",
        "            await self.store.delete(self.target.key)\n            raise ChecksumError(",
        "            raise ChecksumError(",
        "tests/upload/test_upload.py",
    ),
    (
        "a part is trusted without comparing its ETag",
        "asyncpipe/upload/resume.py",
        "noted.etag == stored.etag and ",
        "",
        "tests/upload/test_resume.py",
    ),
    (
        "pointers are not looked at again before a removal",
        "asyncpipe/catalog/prune.py",
        "        if reason:\n            warnings +=",
        "        if False:\n            warnings +=",
        "tests/catalog/test_prune.py",
    ),
    (
        "a rebuild drops what was published meanwhile",
        "asyncpipe/catalog/listing.py",
        "(*scanned.versions, *added)",
        "(*scanned.versions,)",
        "tests/catalog/test_prune.py",
    ),
    (
        "metadata.json is not removed first",
        "asyncpipe/catalog/prune.py",
        '    await store.delete(f"{folder_key}/{store_keys.METADATA_NAME}")\n',
        "",
        "tests/catalog/test_prune.py",
    ),
    (
        "a log that changed after sealing is published",
        "asyncpipe/run/publish.py",
        "if staged.digests.sha256_hex != log.sha256_hex:",
        "if False:",
        "tests/run/test_publish.py",
    ),
    (
        "a sensitive variable becomes evidence",
        "asyncpipe/detect/evidence.py",
        "secret=variable.sensitive",
        "secret=False",
        "tests/detect/test_templates.py",
    ),
    (
        "a chunk may lie wholly beyond the disk's end",
        "asyncpipe/xva/read/sequence.py",
        "if end_bytes >= disk.declared",
        "if end_bytes > disk.declared",
        "tests/xva/test_damaged_files.py",
    ),
)


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("path", "before", "after", "tests"), [one[1:] for one in NAMED], ids=[one[0] for one in NAMED]
)
def test_a_mutant_that_once_lived_is_killed(path: str, before: str, after: str, tests: str) -> None:
    source = (REPOSITORY / path).read_text()
    assert source.count(before) == 1, "the code has changed: name the mutant anew"
    start = len(source[: source.index(before)].encode())
    mutant = Mutant(
        path=Path(path),
        line=source[: source.index(before)].count("\n") + 1,
        start=start,
        end=start + len(before.encode()),
        text=after,
        before=before,
    )
    assert _survives(None, tests), "the tests fail without the mutant"
    assert not _survives(mutant, tests)


def _survives(mutant: Mutant | None, tests: str) -> bool:
    """Run the tests in a fresh process, which forks as the runner does."""
    code = (
        "from pathlib import Path\n"
        "from tests.mutation.mutants import Mutant\n"
        "from tests.mutation.runner import is_killed\n"
        f"mutant = {'None' if mutant is None else _expression(mutant)}\n"
        f"raise SystemExit(10 if is_killed(mutant, [{tests!r}]) else 11)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False)
    assert done.returncode in {10, 11}
    return done.returncode == 11


def _expression(mutant: Mutant) -> str:
    return (
        f"Mutant(path=Path({str(mutant.path)!r}), line={mutant.line}, start={mutant.start},"
        f" end={mutant.end}, text={mutant.text!r}, before={mutant.before!r})"
    )
