"""Mutants that once lived: each is killed by ordinary tests now."""

from __future__ import annotations

import json
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
        "tests/upload/test_upload.py::test_an_object_that_is_not_what_was_sent_is_removed_again",
    ),
    (
        "a part is trusted without comparing its ETag",
        "asyncpipe/upload/resume.py",
        "noted.etag == stored.etag and ",
        "",
        (
            "tests/upload/test_resume.py::"
            "test_a_part_that_another_hand_replaced_at_the_store_is_sent_again"
        ),
    ),
    (
        "pointers are not looked at again before a removal",
        "asyncpipe/catalog/pruning.py",
        "            if reason:\n                warnings.extend(",
        "            if False:\n                warnings.extend(",
        (
            "tests/catalog/test_prune.py::"
            "test_a_channel_that_was_set_after_the_plan_is_seen_before_the_removal"
        ),
    ),
    (
        "a publication drops what another one listed",
        "asyncpipe/catalog/index/change.py",
        "encode_segment((*present.versions, *taken))",
        "encode_segment((*taken,))",
        "tests/catalog/test_pointers.py::test_concurrent_publications_are_all_listed",
    ),
    (
        "metadata.json is not removed first",
        "asyncpipe/catalog/pruning.py",
        '    await store.delete(f"{folder_key}/{store_keys.METADATA_NAME}")\n',
        "",
        (
            "tests/catalog/test_prune.py::"
            "test_a_removal_that_is_cut_short_never_leaves_metadata_without_its_image"
        ),
    ),
    (
        "a log that changed after sealing is published",
        "asyncpipe/run/publish.py",
        "if staged.digests.sha256_hex != log.sha256_hex:",
        "if False:",
        "tests/run/test_publish.py::test_a_log_that_changes_after_it_was_sealed_is_not_published",
    ),
    (
        "a sensitive variable becomes evidence",
        "asyncpipe/detect/evidence.py",
        "secret=variable.sensitive",
        "secret=False",
        "tests/detect/test_templates.py::test_a_sensitive_variable_is_no_evidence",
    ),
    (
        "a chunk may lie wholly beyond the disk's end",
        "asyncpipe/xva/read/sequence.py",
        "if end_bytes >= disk.declared",
        "if end_bytes > disk.declared",
        (
            "tests/xva/test_damaged_files.py::"
            "test_a_damaged_file_is_rejected_with_its_code_at_any_chunking"
        ),
    ),
    (
        "an early upload to the wrong place is waited for instead of stopped",
        "asyncpipe/run/eager_upload.py",
        "        self._scope.cancel()\n",
        "",
        (
            "tests/run/test_eager_upload.py::test_an_upload_to_the_place_that_the_iso_named_is_dropped"
            "_when_the_guest_names_another"
        ),
    ),
    (
        "an early upload that cannot be aborted is left open",
        "asyncpipe/run/eager_upload.py",
        "resume = early.session.target.key == self._context.xva_key",
        "resume = False",
        (
            "tests/run/test_eager_upload.py::test_an_early_upload_that_failed_and_cannot_be_aborted_is"
            "_resumed"
        ),
    ),
    (
        "the os-release of a container gives the pretty name",
        "asyncpipe/detect/decide.py",
        " and one.os_type)",
        ")",
        "tests/detect/test_decide.py::test_a_container_s_os_release_in_the_log_changes_nothing",
    ),
    (
        "a conflict of the architecture is lost",
        "asyncpipe/detect/decide.py",
        'found.setdefault(*_conflict("arch", chosen, one, series=False))',
        "pass",
        (
            "tests/detect/test_decide.py::test_the_guest_names_the_architecture_and_another_one_is_a"
            "_conflict_but_not_of_the_series"
        ),
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
    assert _survivors(mutant, tests) == (True, False), "(without, with) the mutant"


def _survivors(mutant: Mutant, tests: str) -> tuple[bool, bool]:
    """Run the tests without and with the mutant, in forks of a fresh process as the runner does."""
    code = (
        "from pathlib import Path\n"
        "from tests.mutation.mutants import Mutant\n"
        "from tests.mutation.runner import is_killed, preload\n"
        "preload()\n"
        f"mutants = [None, {_expression(mutant)}]\n"
        f"print([not is_killed(mutant, [{tests!r}]) for mutant in mutants])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    without, mutated = json.loads(done.stdout.lower())
    return without, mutated


def _expression(mutant: Mutant) -> str:
    return (
        f"Mutant(path=Path({str(mutant.path)!r}), line={mutant.line}, start={mutant.start},"
        f" end={mutant.end}, text={mutant.text!r}, before={mutant.before!r})"
    )
