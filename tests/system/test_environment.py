"""A child of ours cannot read our secrets from /proc, whoever it runs as."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_CHILD = """
tr '\\\\0' '\\\\n' </proc/$PPID/environ 2>/dev/null || echo environment refused
head -c 1 /proc/$PPID/auxv >/dev/null 2>&1 || echo memory refused
"""
_PARENT = f"""
import ctypes, os, subprocess, sys
from asyncpipe.system.environment import hide
user = int(sys.argv[1])
if user:
    os.setgroups([]); os.setgid(user); os.setuid(user)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a process that was that user from the beginning
assert b"sesame" in open("/proc/self/environ", "rb").read()
subprocess.run(["/bin/sh", "-c", {_CHILD!r}], env={{"PATH": os.environ["PATH"]}})
hide(lambda name: name in ("MY_TOKEN", "MY_EMPTY"))
print("----", os.environ["MY_TOKEN"], len(os.listdir("/proc/self/fd")) > 2, flush=True)
subprocess.run(["/bin/sh", "-c", {_CHILD!r}], env={{"PATH": os.environ["PATH"]}})
subprocess.run(["/bin/sh", "-c", "echo inherited $MY_TOKEN"])
"""


def _run(user: int) -> tuple[str, str]:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, str(user)],
        cwd=root,
        env={
            "MY_TOKEN": "sesame",
            "MY_EMPTY": "",
            "PLAIN": "seen",
            "PYTHONPATH": str(root),
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, _, after = done.stdout.partition("---- sesame True\n")
    return before, after


def test_the_environment_shows_no_secret_and_everything_else_goes_on() -> None:
    before, after = _run(0)
    assert "MY_TOKEN=sesame" in before
    assert "MY_TOKEN=sesame" not in after
    assert "inherited sesame" in after
    if os.geteuid() == 0:  # root may look at everything
        assert "PLAIN=seen" in after


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_child_of_the_same_user_may_not_look_into_us_at_all() -> None:
    before, after = _run(65534)
    assert "MY_TOKEN=sesame" in before
    assert "environment refused" in after
    assert "memory refused" in after
    assert "memory refused" not in before
    assert "inherited sesame" in after


_REFUSED = """
import ctypes, os
from asyncpipe.system.environment import hide
os.setgroups([]); os.setgid(65534); os.setuid(65534)
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # so that /proc/self/mem is root's
print(*hide(lambda name: name == "MY_TOKEN"), sep="\\n")
print(*hide(lambda name: name == "NOT_SET"), sep="\\n")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_the_system_refuses_is_said_unless_nothing_was_secret() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _REFUSED],
        cwd=root,
        env={"MY_TOKEN": "sesame", "PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = done.stdout.splitlines()
    assert len([line for line in said if line]) == 1, said
    assert "/proc/self/environ keeps the secrets that this process began with" in said[0]
    assert "Permission denied" in said[0]
    assert "sesame" not in done.stdout
