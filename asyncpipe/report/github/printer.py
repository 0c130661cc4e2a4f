"""The plain log as GitHub Actions wants it: shielded, grouped by template and phase."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpipe.model.events import (
    Event,
    PhaseChanged,
    RunFinished,
    TemplateFinished,
    TemplateStarted,
)
from asyncpipe.report.console.printers import PlainPrinter, Style
from asyncpipe.report.github.annotations import annotation_commands
from asyncpipe.report.github.shield import Shield, command, mask_commands
from asyncpipe.text.safe import clean


class GithubPrinter(PlainPrinter):
    """Guest lines inside a bracket of stopped commands, groups of ours between brackets.

    Groups do not nest: with several templates at once a group is a slice of time, named by the
    template that entered a phase; each line still says whose it is.
    """

    def __init__(self, style: Style, *, masks: Sequence[str] = (), workspace: str = "") -> None:
        super().__init__(style)
        self._shield = Shield()
        self._workspace = workspace
        self._masks = mask_commands(masks)
        self._in_group = False

    def show(self, events: tuple[Event, ...], left_out: dict[str, int], now_s: float) -> str:
        """Masks before the first text, then as in any plain log."""
        masks, self._masks = "".join(f"{mask}\n" for mask in self._masks), ()
        return masks + super().show(events, left_out, now_s)

    def text_of(self, event: Event, now_s: float) -> str:
        """The lines of one event, with the groups that it opens and closes."""
        match event:
            case TemplateStarted():
                return self._group(event.unit, "start") + super().text_of(event, now_s)
            case PhaseChanged():
                return self._group(event.unit, event.phase) + super().text_of(event, now_s)
            case TemplateFinished() if not self.style.many:
                return self._end_group() + super().text_of(event, now_s)
            case RunFinished():
                return self._end_group() + super().text_of(event, now_s)
        return super().text_of(event, now_s)

    def line(self, unit: str, text: str, *, guest: bool = False) -> str:  # noqa: ARG002
        """Every line is shielded: what we say may quote the guest."""
        prefix = f"{clean(unit)} | " if self.style.many and unit else ""
        return self._shield.guest(text, prefix=prefix)

    def ending(self, event: RunFinished) -> str:
        """The closing table, line by line through the shield, then the annotations."""
        table = super().ending(event).split("\n")
        lines = [self._shield.guest(line) for line in table[:-1]]
        commands = annotation_commands(event.outcomes, workspace=self._workspace)
        return "".join([*lines, *(self._shield.own(command) for command in commands)])

    def close(self, now_s: float) -> str:  # noqa: ARG002 -- the protocol's signature
        """Commands enabled again, whatever came before; no group left open."""
        return self._end_group() or self._shield.finish()

    def _group(self, unit: str, phase: str) -> str:
        ended, self._in_group = self._end_group(), True
        return ended + self._shield.own(command("group", f"{clean(unit)}: {phase}"))

    def _end_group(self) -> str:
        if not self._in_group:
            return ""
        self._in_group = False
        return self._shield.own(command("endgroup", ""))
