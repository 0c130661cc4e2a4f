"""A lock tells the living from the dead, whoever killed them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asyncpipe.system import lock

_HOLDS = """
import sys, time
from pathlib import Path
from asyncpipe.system.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_held_lock_names_its_process_and_dies_with_it(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert lock.is_held(tmp_path)
        with pytest.raises(lock.HeldError) as caught, lock.held(tmp_path):
            pass
        assert caught.value.pid == str(process.pid)
        process.kill()
        process.wait(timeout=30)
    assert not lock.is_held(tmp_path)
    with lock.held(tmp_path):
        assert lock.is_held(tmp_path)
