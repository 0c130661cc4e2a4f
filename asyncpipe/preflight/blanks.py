"""A path with a blank, which Packer hands to the shell without quotes (hashicorp/packer#3571)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus

_MAX_FILE_BYTES: Final = 1024 * 1024
_STEP = re.compile(r"\bshell-local\b")
_SCRIPT = re.compile(r"\bscripts?\"?\s*[=:]")
_OWN_COMMAND = re.compile(r"\bexecute_command\b")


def check_blanks(plan: BuildPlan) -> CheckResult | None:
    """Warn of a script that ``shell-local`` cannot start from a folder with a blank in its path.

    A template that sets ``execute_command`` anywhere is taken to quote the script itself.
    """
    folder = (plan.working_directory / plan.template.folder).absolute()
    if not re.search(r"\s", str(folder)):
        return None
    text = "\n".join(map(_text, plan.template.files))
    if not (_STEP.search(text) and _SCRIPT.search(text)) or _OWN_COMMAND.search(text):
        return None
    return CheckResult(
        name="paths",
        unit=plan.unit,
        status=CheckStatus.WARN,
        message=f"{folder} has a blank: Packer's shell-local cuts the path of a script there.",
        hint='Move the checkout, or set execute_command = ["/bin/sh", "-c", '
        '"{{.Vars}} \\"$0\\"", "{{.Script}}"] beside scripts.',
    )


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
