"""The table of docs/templates.md of clones that were started: ``python -m tests.boot.table``.

It is made of what each clone said (``booted-SYSTEM-START.json`` in the tests' cache), bad values
included; the starts that were not seen are listed below it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.boot.clones import AGAIN, CLONES, SYSTEMS, Start, settings_not_in_force
from tests.templates.needs import REPO, cache_dir

DOCUMENT = REPO / "docs/templates.md"
BEGIN, END = "<!-- clones: begin -->", "<!-- clones: end -->"
HEAD = (
    "system, profile",
    "started by, with",
    "login after, of it CPU",
    "failed units",
    "cloud-init",
    "lease renewed",
    "`sudo true` says",
    "root",
    "clock",
    "settings in force",
    "ids and keys",
)
FIRST = "a"  # the clone that others of its system are compared with
STARTS: Mapping[str, Start] = CLONES | {f"{name}-again": start for name, start in AGAIN.items()}

Record = Mapping[str, object]


def table(records: Mapping[tuple[str, str], Record]) -> str:
    """The Markdown table of the starts that were seen, and a list of those that were not.

    Keys are the system and the name of the start.
    """
    rows, missing = [HEAD, ("---",) * len(HEAD)], []
    for system, of in SYSTEMS.items():
        unseen = []
        for name, start in sorted(STARTS.items()):
            record = records.get((system, name))
            if record is None:
                unseen.append(_start(name, start))
                continue
            first = records.get((system, FIRST))
            rows.append(
                (f"{of.title}, {of.profile}", _start(name, start), *_cells(record, name, first))
            )
        if unseen:
            missing.append(f"- {of.title}: {'; '.join(unseen)}\n")
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{lines}\n" + (f"Not seen yet:\n\n{''.join(missing)}" if missing else "")


def _start(name: str, start: Start) -> str:
    drive = {"nocloud": "NoCloud", "configdrive": "ConfigDrive", "none": "no drive"}[start.drive]
    again = "the first one's disk again, " if name.endswith("-again") else ""
    return f"{again}{start.firmware.upper()}, {drive}, slot {start.slot}"


def _cells(record: Record, name: str, first: Record | None) -> tuple[str, ...]:
    def said(key: str, empty: str = "not asked") -> str:
        return str(record.get(key, empty)) or "nothing"

    again = name.endswith("-again")
    settings = (
        "not asked" if again or not record["settings"] else _settings(str(record["settings"]))
    )
    renewed = "not asked" if again else {True: "yes", False: "**no**"}[record["renewed"] is True]
    return (
        f"{said('login_s')} s, {said('login_cpu_s')} s",
        said("failed").replace("nothing", "none"),
        said("cloud-init"),
        renewed,
        said("sudo"),
        said("root-size").replace("M", " MiB").strip(),
        said("clock").replace("yes", "synchronised"),
        settings,
        _identity(record, name, first),
    )


def _settings(text: str) -> str:
    wrong = settings_not_in_force(text)
    return f"**{len(wrong)} not**" if wrong else "all"


def _identity(record: Record, name: str, first: Record | None) -> str:
    if "machine-id" not in record:
        return "not asked"
    if name == FIRST or first is None:
        return "new"
    same = [key for key in ("machine-id", "host-keys") if record.get(key) == first.get(key)]
    if name.endswith("-again"):
        return "kept" if len(same) == 2 else "**not kept**"
    return f"**shared: {', '.join(same)}**" if same else "others"


def main() -> None:
    """Write the table; refused if nothing was seen on this machine."""
    records = {
        (system, name): json.loads(path.read_text())
        for system in SYSTEMS
        for name in STARTS
        if (path := _record(system, name)).exists()
    }
    if not records:
        sys.exit(f"no clone was started on this machine: {cache_dir()} has no booted-*.json")
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(records)}{END}{after}")


def _record(system: str, name: str) -> Path:
    return cache_dir() / f"booted-{system}-{name}.json"


if __name__ == "__main__":
    main()
