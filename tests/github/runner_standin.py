"""A stand-in for the part of GitHub's runner that a step meets; from actions/runner @258d6c8.

Commands as ``ActionCommand.cs`` parses them and ``ActionCommandManager.cs`` obeys them, masks,
annotations and their limits (``ExecutionContext.cs``), the files of ``FileCommandManager.cs``,
and cancellation as ``ProcessInvoker.cs`` does it: SIGINT to the step's entry process, 7.5 s,
SIGTERM, 2.5 s, SIGKILL of the tree. Culture-sensitive comparison is stood in for by skipping what
draws nothing, which finds more than the real one.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

SIGINT_WAIT_S = 7.5
SIGTERM_WAIT_S = 2.5
STREAM_WAIT_S = 5.0  # for the pipes' end after the process ended
MAX_ANNOTATIONS = 10
MAX_MESSAGE = 4096
MAX_SUMMARY_BYTES = 1024 * 1024

COMMANDS = frozenset(
    {
        "set-env",
        "set-output",
        "save-state",
        "add-mask",
        "add-path",
        "add-matcher",
        "remove-matcher",
        "debug",
        "warning",
        "error",
        "notice",
        "group",
        "endgroup",
        "echo",
    }
)
_ESCAPES = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%"))
_DATA_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command that the runner understood."""

    name: str
    data: str
    properties: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Step:
    """What the runner made of a step's stdout."""

    log: list[str] = field(default_factory=list)  # as a person sees it, masked
    obeyed: list[Command] = field(default_factory=list)
    annotations: dict[str, list[Command]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)  # what the runner complains of
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str | None = None
    groups: list[str] = field(default_factory=list)
    masks: set[str] = field(default_factory=set)
    stopped: bool = False
    return_code: int | None = None
    killed_by: str = ""  # the last signal that was needed
    ended_after_s: float = 0.0  # from the cancellation to the end of the entry process

    @property
    def text(self) -> str:
        """The whole log."""
        return "\n".join(self.log)


class Parser:
    """Reads stdout line by line into a Step."""

    def __init__(self) -> None:
        self.step = Step()
        self._registered = set(COMMANDS) | {"stop-commands"}
        self._token = ""

    def feed(self, line: str) -> None:
        """Take one line without its end."""
        command = parse_v2(line, self._registered) or parse_v1(line, self._registered)
        if command is None or not self._obey(command, line):
            self._print(line)

    def _print(self, line: str) -> None:
        for mask in sorted(self.step.masks, key=len, reverse=True):
            line = line.replace(mask, "***")
        self.step.log.append(line)

    def _obey(self, command: Command, line: str) -> bool:
        name = command.name.lower()
        if self.step.stopped:
            if name != self._token.lower():
                return False
            self._registered.discard(self._token)
            self.step.stopped, self._token = False, ""
            self._print(line)
            return True
        if name == "stop-commands":
            self._stop(command.data, line)
            return True
        self.step.obeyed.append(command)
        self._perform(name, command)
        return True

    def _stop(self, token: str, line: str) -> None:
        registered = {name.lower() for name in self._registered}
        if not token or token.lower() in registered or token.lower() == "pause-logging":
            self.step.errors.append(f"unsupported stop token {token!r}")
            return
        self.step.stopped, self._token = True, token
        self._registered.add(token)
        if len(token) > 6:
            self.step.masks.add(token)
        self._print(line)

    def _perform(self, name: str, command: Command) -> None:
        step = self.step
        if name == "add-mask":
            if not command.data.strip():
                step.errors.append("Can't add secret mask for empty string")
            step.masks.update(part for part in re.split(r"[\r\n]+", command.data) if part.strip())
        elif name in {"error", "warning", "notice"}:
            shown = step.annotations.setdefault(name, [])
            if len(shown) < MAX_ANNOTATIONS:
                shown.append(replace(command, data=command.data[:MAX_MESSAGE]))
            self._print(f"##[{name}]{command.data}")
        elif name == "set-output":
            step.outputs[command.properties.get("name", "")] = command.data
        elif name == "group":
            step.groups.append(command.data)
            self._print(f"##[group]{command.data}")


def parse_v2(line: str, registered: set[str]) -> Command | None:
    """``::name k=v,k=v::data`` at the start of a line after trimming."""
    line = _drawn(line).lstrip()
    end = line.find("::", 2)
    if not line.startswith("::") or end < 0:
        return None
    return _command(
        line[2:end], line[end + 2 :], registered, ",", (_PROPERTY_ESCAPES, _DATA_ESCAPES)
    )


def parse_v1(line: str, registered: set[str]) -> Command | None:
    """``##[name k=v;k=v]data`` anywhere in a line."""
    line = _drawn(line)
    begin = line.find("##[")
    end = line.find("]", begin)
    if begin < 0 or end < 0:
        return None
    return _command(line[begin + 3 : end], line[end + 1 :], registered, ";", (_ESCAPES, _ESCAPES))


Escapes = tuple[tuple[str, str], ...]


def _command(
    info: str, data: str, registered: set[str], separator: str, escapes: tuple[Escapes, Escapes]
) -> Command | None:
    name, _, words = info.partition(" ")
    if name.lower() not in {known.lower() for known in registered}:
        return None
    pairs = (word.split("=", 1) for word in words.strip().split(separator) if "=" in word)
    properties = {key: _unescaped(value, escapes[0]) for key, value in pairs}
    return Command(name=name, data=_unescaped(data, escapes[1]), properties=properties)


def _unescaped(text: str, escapes: Escapes) -> str:
    for escape, character in escapes:
        text = text.replace(escape, character)
    return text


def _drawn(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_folded, text))


def _folded(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf" or character == "\0" or "\ufe00" <= character <= "\ufe0f":
        return ""
    if character in "\u034f\u180b\u180c\u180d\u180f" or character >= "\U000e0100":
        return ""
    wide = unicodedata.normalize("NFKC", character)
    return wide if len(wide) == 1 else character


def parse_output_file(text: str) -> dict[str, str]:
    """``name=value`` and heredocs as ``EnvFileKeyValuePairs`` reads them on Linux.

    Raises:
        ValueError: with what the runner says, which fails the step.
    """
    values: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            key, _, values[key] = line.partition("=")
        elif heredoc >= 0:
            key, _, delimiter = line.partition("<<")
            if not key or not delimiter:
                raise ValueError(f"Invalid format {line!r}")
            values[key] = _heredoc(lines, delimiter)
        else:
            raise ValueError(f"Invalid format {line!r}")
    return values


def _heredoc(lines: Iterator[str], delimiter: str) -> str:
    value: list[str] = []
    for line in lines:
        if line == delimiter:
            return "\n".join(value)
        value.append(line)
    raise ValueError(f"Invalid value. Matching delimiter not found {delimiter!r}")


def parse(text: str) -> Step:
    """Read a whole stdout; lines end at CR, LF or CRLF as .NET's ReadLine has it."""
    parser = Parser()
    for line in re.split(r"\r\n|\r|\n", text):
        parser.feed(line)
    return parser.step


class RunningStep:
    """A step's script under ``bash -e``, its stdout parsed as it comes.

    Args:
        script: what stands behind ``run:``.
        folder: where the script and the runner's files live; also the working directory.
        environment: the whole environment; GITHUB_ACTIONS and the files' names are added.
        time_scale: 0.1 makes the runner ten times as impatient.
        working_directory: the workspace, where it is not ``folder``.
    """

    def __init__(
        self,
        script: str,
        *,
        folder: Path,
        environment: Mapping[str, str],
        time_scale: float = 1.0,
        working_directory: Path | None = None,
    ) -> None:
        self.output_file = folder / "set_output"
        self.summary_file = folder / "step_summary"
        for file in (self.output_file, self.summary_file):
            file.touch()
        entry = folder / "step.sh"
        entry.write_text(script)
        self._parser = Parser()
        self._scale = time_scale
        self._seen = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(entry)],
            cwd=working_directory or folder,
            env={
                **environment,
                "GITHUB_ACTIONS": "true",
                "GITHUB_OUTPUT": str(self.output_file),
                "GITHUB_STEP_SUMMARY": str(self.summary_file),
                "RUNNER_TRACKING_ID": f"github_{os.getpid()}_{id(self)}",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.tracking = f"RUNNER_TRACKING_ID=github_{os.getpid()}_{id(self)}".encode()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_line(self, wanted: Callable[[str], bool], timeout_s: float) -> str:
        """Wait until a raw line satisfies ``wanted``, return it; TimeoutError, also at the end."""
        deadline_s = time.monotonic() + timeout_s
        position = 0
        with self._seen:
            while True:
                for line in self._lines[position:]:
                    if wanted(line):
                        return line
                position = len(self._lines)
                remaining_s = max(0.0, deadline_s - time.monotonic())
                if self._ended or not self._seen.wait(remaining_s):
                    raise TimeoutError("\n".join(self._lines[-30:]))

    def cancel(self) -> Step:
        """Cancel as the runner does and return the step as it then stands."""
        began_s = time.monotonic()
        for name, wait_s in (("SIGINT", SIGINT_WAIT_S), ("SIGTERM", SIGTERM_WAIT_S)):
            self._process.send_signal(signal.Signals[name])
            self._parser.step.killed_by = name
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_s * self._scale)
                break
        else:
            self._parser.step.killed_by = "SIGKILL"
            for pid in (*self.alive(), self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._parser.step.ended_after_s = time.monotonic() - began_s
        return self.wait(30)

    def wait(self, timeout_s: float) -> Step:
        """Wait for the step's end and read its files; subprocess.TimeoutExpired."""
        step = self._parser.step
        step.return_code = self._process.wait(timeout_s)
        self._reader.join(STREAM_WAIT_S * self._scale)
        self._read_files(step)
        return step

    def alive(self) -> tuple[int, ...]:
        """Processes of this step that still live, as the sweep of a job finds them."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                status = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                tracked = self.tracking in (folder / "environ").read_bytes().split(b"\0")
                if tracked and status != "Z":
                    found.append(int(folder.name))
        return tuple(found)

    def sweep(self) -> None:
        """Kill what is left, as at the end of a job."""
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        self._reader.join(10)

    def _read(self) -> None:
        assert self._process.stdout is not None
        stream = io.TextIOWrapper(self._process.stdout, "utf-8", "replace", newline=None)
        for line in stream:  # newline=None: CR, LF and CRLF end a line
            with self._seen:
                self._lines.append(line.rstrip("\n"))
                self._parser.feed(line.rstrip("\n"))
                self._seen.notify_all()
        stream.close()
        with self._seen:
            self._ended = True
            self._seen.notify_all()

    def _read_files(self, step: Step) -> None:
        try:
            step.outputs.update(parse_output_file(self.output_file.read_text()))
        except ValueError as error:
            step.errors.append(str(error))
        size_bytes = self.summary_file.stat().st_size
        if size_bytes > MAX_SUMMARY_BYTES:
            step.errors.append(f"the summary has {size_bytes} bytes: left out whole")
        elif size_bytes:
            step.summary = self.summary_file.read_text()
