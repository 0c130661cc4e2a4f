from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.e2e.command import REPOSITORY, clean_environment

PAGE = REPOSITORY / "docs" / "hosts.md"
LIMIT_S = 120.0


def test_the_page_can_be_followed_without_a_hypervisor(tmp_path: Path) -> None:
    block = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[-1]
    assert "xapi_standin" in block
    done = subprocess.run(
        ["bash", "-euc", f"trap 'kill $!' EXIT\n{block}"],
        cwd=tmp_path,
        env=clean_environment(tmp_path, {"PYTHONPATH": str(REPOSITORY)}),
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert "Stored in" in done.stdout, done.stderr
    assert re.search(r"debian12 imported in ", done.stdout), done.stderr
    assert re.search(r"debian12  debian12@\w+  latest", done.stdout), done.stdout
