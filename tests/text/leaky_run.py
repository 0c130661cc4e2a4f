"""A whole run whose guest prints every secret it was given, and all that the run leaves behind."""

from __future__ import annotations

import http.server
import json
import os
import pty
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.run.services import xva_bytes
from tests.text.leaks import (
    ASCII_ONLY,
    BASE64,
    DECORATIONS,
    FORMS,
    HIDDEN,
    core_of,
    secret_of,
    written_as,
)

ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT_S: Final = 240.0
_SHOWN: Final = 8  # characters that give a secret away
_PACKER: Final = """\
import os, shutil, sys, time
where = os.environ["SCRIPTED"]
data = open(where + "/said", "rb").read()
position = 0
for size in open(where + "/cuts").read().split():
    os.write(1, data[position:position + int(size)])
    position += int(size)
    if int(size) % 97 == 0:
        time.sleep(0.05)  # longer than the pause after which an unfinished line is shown
os.write(1, data[position:])
for argument in sys.argv:
    name, _, folder = argument.partition("-var=output_directory=")
    if folder and not name:
        os.makedirs(folder)
        shutil.copy(where + "/small.xva", folder + "/small.xva")
sys.exit(int(open(where + "/code").read()))
"""
_TEMPLATE: Final = """\
variable "output_directory" {{ default = "output" }}
{variables}
variable "notes" {{ default = {notes} }}
variable "given" {{ default = "" }}
locals {{
  os_name    = "debian"
  os_version = "12"
  variant    = "{name}"
}}
source "null" "demo" {{ communicator = "none" }}
build {{ sources = ["source.null.demo"] }}
"""
_GUEST: Final = (
    "begin", "os-release ID=debian", 'os-release VERSION_ID="12"', 'os-release PRETTY_NAME="{0}"',
    "package {1} 3.0.15 amd64", "package openssl {2} amd64", "end 5",
)  # fmt: skip
# What a terminal, build.log and JSON make of what stood between the letters.
_WRITTEN_OUT: Final = re.compile(
    r"\\+x1b(?:\[3?(?:\\+x[09]0)?[0-9;]*m|\]0;x\\+x07)"
    r"|(?:\\+x[0-9a-f]{2}|\\+u[0-9a-f]{4}|\\+U[0-9a-f]{8})(?:\{\d+\})?|\x1b\[[0-9;?]*[A-Za-z]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a run is called and how it ends; ``units``: the templates it builds at once."""

    name: str
    units: int = 1
    fails: bool = False
    in_terminal: bool = False
    arguments: tuple[str, ...] = ()


WAYS: Final = (
    Way(name="published, plain"),
    Way(name="failed, plain", fails=True, arguments=("--verbose",)),
    Way(name="two, board", units=2, in_terminal=True),
    Way(name="two, one output", units=2, fails=True),
    Way(name="JSON lines", arguments=("--log-format", "json", "--verbose")),
    Way(name="dry run", arguments=("--dry-run",)),
)


def secrets_for(source: random.Random, count: int) -> list[str]:
    return [secret_of(source, ascii_only=number % 2 == 0) for number in range(count)]


def what_packer_says(secrets: Sequence[str], source: random.Random, *, fails: bool) -> bytes:
    """Return an output with each secret in some form and decoration, and in telling places."""
    lines = [b"null.demo: output will be in this color."]
    for value in secrets:
        names = [name for name in DECORATIONS if value.isascii() or name not in ASCII_ONLY]
        written = written_as(source.choice([*FORMS, *BASE64]), value, source)
        shown = DECORATIONS[source.choice(names)](written)
        lines += [
            b"    null.demo: Setting up libc6:amd64 (2.36-9+deb12u10) over (2.36-9+deb12u9) ...",
            b"    null.demo: it is " + shown + source.choice([b" here", b"", b"'", b"\r"]),
            b"    null.demo: Processing triggers for man-db (2.11.2-2), which takes a moment ...",
        ]
    first = source.sample(secrets, 3)
    for text in _GUEST:
        said = text.format(*first)
        lines.append(f"    null.demo: asyncpipe-evidence/1 {said}".encode())
    if fails:
        for value in source.sample(secrets, min(8, len(secrets))):
            form = written_as(source.choice(list(FORMS)), value, source)
            lines.append(f"==> null.demo: Error: login failed with {form}".encode())
        lines += [
            f"Build 'null.demo' errored after 3 seconds: denied: {first[0]}".encode(),
            b"==> Some builds didn't complete successfully and had errors:",
            f"--> null.demo: denied: {first[0]}".encode(),
        ]
    return b"\n".join(lines) + b"\n"


class Run:
    """One folder, one set of secrets: half in the environment, half in sensitive variables."""

    def __init__(self, folder: Path, way: Way, secrets: Sequence[str], seed: int) -> None:
        self._folder, self._way, self._secrets = folder, way, secrets
        self._source = random.Random(seed)
        half = len(secrets) // 2
        self._named = {f"S{number}_TOKEN": value for number, value in enumerate(secrets[:half])}
        self._declared = {f"p{number}": value for number, value in enumerate(secrets[half:])}
        self._posted: list[str] = []

    def texts(self) -> dict[str, str]:
        """Run it; return by name all that it printed, wrote, published and posted."""
        self._write()
        with _listening(self._posted) as port:
            printed = self._printed(self._environment(port))
        texts = {"printed": printed, "posted": "\n".join(self._posted)}
        for name in ("published", ".asyncpipe", "report.json", "summary", "outputs"):
            path = self._folder / name
            files = path.rglob("*") if path.is_dir() else [path]
            for file in files:
                if file.is_file() and file.suffix != ".xva":
                    key = str(file.relative_to(self._folder))
                    texts[key] = key + "\n" + file.read_text("utf-8", "replace")
        return texts

    def _write(self) -> None:
        folder = self._folder
        said = what_packer_says(self._secrets, self._source, fails=self._way.fails)
        cuts = self._source.choices(range(1, 1200), k=len(said) // 600 + 1)
        scripted = folder / "scripted"
        scripted.mkdir()
        (scripted / "said").write_bytes(said)
        (scripted / "cuts").write_text(" ".join(map(str, cuts)))
        (scripted / "code").write_text(str(int(self._way.fails)))
        (scripted / "small.xva").write_bytes(xva_bytes(folder, 1 << 20))
        (scripted / "packer.py").write_text(_PACKER)
        packer = scripted / "packer"
        packer.write_text(
            '#!/bin/sh\n[ "$1" = version ] && echo "Packer v1.16.0" && exit\n'
            f'[ "$1" = build ] && exec {sys.executable} -I -S {scripted}/packer.py "$@"\nexit 0\n'
        )
        packer.chmod(0o755)
        variables = "\n".join(
            f'variable "{name}" {{\n  type = string\n  sensitive = true\n}}'
            for name in self._declared
        )
        notes = f"made with {self._secrets[0]} and {self._secrets[-1]}"
        quoted = json.dumps(notes, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
        for name in self.units:
            place = folder / "images" / name
            place.mkdir(parents=True)
            text = _TEMPLATE.format(variables=variables, notes=quoted, name=name)
            (place / "a.pkr.hcl").write_text(text, "utf-8")

    @property
    def units(self) -> tuple[str, ...]:
        return ("one", "two")[: self._way.units]

    def _environment(self, port: int) -> dict[str, str]:
        github = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(self._folder / "summary"),
            "GITHUB_OUTPUT": str(self._folder / "outputs"),
            "GITHUB_WORKSPACE": str(self._folder / "images"),
        }
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "PACKER": str(self._folder / "scripted/packer"),
            "SCRIPTED": str(self._folder / "scripted"),
            "ASYNCPIPE_DESTINATION": str(self._folder / "published"),
            "ASYNCPIPE_WEBHOOK_URL": f"http://127.0.0.1:{port}/hook-sesame-sesame-7",
            "ASYNCPIPE_REPORT": str(self._folder / "report.json"),
            **({} if self._way.in_terminal else github),
            **self._named,
            **{f"PKR_VAR_{name}": value for name, value in self._declared.items()},
        }

    def _printed(self, environment: dict[str, str]) -> str:
        given = f"-var=given=the login is {self._secrets[0]}"
        argv = [sys.executable, "-m", "asyncpipe", "build", *(f"images/{u}" for u in self.units)]
        argv += [given, *self._way.arguments]
        run = _in_terminal if self._way.in_terminal else _plain
        printed, code = run(argv, self._folder, environment)
        assert code == (20 if self._way.fails and self._way.units == 1 else
                        4 if self._way.fails else 0), printed  # fmt: skip
        # The runner is told what to hide; what it then hides is no proof of ours.
        return "\n".join(
            line for line in printed.split("\n") if not line.startswith("::add-mask::")
        )


def _plain(argv: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[str, int]:
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace"), done.returncode


def _in_terminal(argv: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[str, int]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    taken: list[bytes] = []
    stop = threading.Timer(LIMIT_S, process.kill)
    stop.start()
    try:
        with suppress(OSError):  # EIO: the other side is closed
            while data := os.read(ours, 65536):
                taken.append(data)
        code = process.wait(LIMIT_S)
    finally:
        stop.cancel()
        process.kill()
        os.close(ours)
    return b"".join(taken).decode("utf-8", "replace"), code


@contextmanager
def _listening(posted: list[str]) -> Iterator[int]:
    class Chat(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            posted.append(self.rfile.read(length).decode("utf-8", "replace"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def found_in(texts: dict[str, str], secrets: Sequence[str]) -> list[str]:
    """Return where a secret, or its first or last eight characters, can be read in any form."""
    source = random.Random(0)
    needles: dict[str, str] = {}
    for value in secrets:
        needles |= {value[:_SHOWN]: f"the beginning of {value!r}"}
        needles |= {value[-_SHOWN:]: f"the end of {value!r}"}
        for form in (*FORMS, *BASE64):
            needle = core_of(form, written_as(form, value, source))
            needles.setdefault(needle, f"{value!r} as {form}")
    starting: dict[str, list[str]] = {}
    for needle in needles:
        starting.setdefault(needle[:_SHOWN], []).append(needle)
    leaks = []
    for name, text in texts.items():
        readable = text + "\n" + _undone(text)
        there = {readable[at : at + _SHOWN] for at in range(len(readable))}
        found = [n for start in starting.keys() & there for n in starting[start] if n in readable]
        leaks += [f"{needles[needle]} in {name}: {needle!r}" for needle in found]
    return leaks


def _undone(text: str) -> str:
    return HIDDEN.sub("", _WRITTEN_OUT.sub("", text))
