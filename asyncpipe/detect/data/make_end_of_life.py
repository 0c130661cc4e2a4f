"""Write end-of-life.json from the files of Debian's package osinfo-db.

Usage: apt-get download osinfo-db && dpkg-deb -x osinfo-db_*.deb FOLDER
       python make_end_of_life.py FOLDER VERSION-OF-THE-PACKAGE > end-of-life.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def dates_in(folder: Path) -> dict[str, str]:
    """Return short id -> end-of-life date of every system that has one."""
    dates = {}
    for path in folder.glob("**/osinfo/os/**/*.xml"):
        for system in ET.parse(path).getroot().iter("os"):  # noqa: S314 -- Debian's own files
            short_id, date = system.findtext("short-id"), system.findtext("eol-date")
            if short_id and date:
                dates[short_id] = date.strip()
    return dict(sorted(dates.items()))


def main(folder: str, version: str) -> None:
    """Print the table with its origin."""
    origin = f"Debian package osinfo-db {version} (eol-date of https://libosinfo.org)"
    document = {"origin": origin, "dates": dates_in(Path(folder))}
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
