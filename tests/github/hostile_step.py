"""A step of ours whose guest is hostile; run by the tests under the runner stand-in."""

from __future__ import annotations

import json
import os
import sys

from asyncpipe.model.build import Phase
from asyncpipe.model.events import (
    OutputLines,
    PhaseChanged,
    RunFinished,
    RunStarted,
    TemplateFinished,
    TemplateStarted,
    Warned,
)
from asyncpipe.model.publication import Outcome
from asyncpipe.report import github
from asyncpipe.report.console.reporter import Style, open_console
from tests.report.samples import DEBIAN, RUN, failed, published


def main() -> None:
    lines, secrets = json.loads(sys.argv[1])
    units = ("debian-12", "rocky-9")[: int(sys.argv[2])]
    hostile = "\n".join(lines)
    outcomes: tuple[Outcome, ...] = (
        failed(units[0], error=hostile, cause_lines=tuple(lines), log_tail=tuple(lines)),
        *(published(unit, warnings=tuple(lines)) for unit in units[1:]),
    )
    with open_console(
        stdout=sys.stdout,
        style=Style(units=units),
        is_terminal=False,
        github=True,
        masks=tuple(secrets),
    ) as console:
        console.emit(RunStarted(run_id="r1", units=units, destination=hostile))
        for unit in units:
            console.emit(TemplateStarted(unit=unit, template_path=hostile, identity=DEBIAN))
            console.emit(PhaseChanged(unit=unit, phase=Phase.PROVISION))
            for line in (*lines, *secrets):
                console.emit(OutputLines(unit=unit, text=line))
                console.emit(Warned(unit=unit, code="x", message=line))
        for outcome in outcomes:
            console.emit(TemplateFinished(unit=outcome.unit, outcome=outcome))
        console.emit(RunFinished(run_id="r1", outcomes=outcomes, exit_code=4, duration_s=1.0))
    problems = (
        github.append(
            os.environ,
            "GITHUB_OUTPUT",
            github.outputs(outcomes, exit_code=4, run_directory=hostile),
        ),
        github.append(os.environ, "GITHUB_STEP_SUMMARY", github.summary(outcomes, RUN)),
    )
    sys.exit(4 if not any(problems) else 1)


if __name__ == "__main__":
    main()
