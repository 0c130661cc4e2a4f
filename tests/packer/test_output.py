from __future__ import annotations

import re

import pytest

from asyncpipe.model.build import PackerArtifact, Phase
from asyncpipe.packer.causes import Causes
from asyncpipe.packer.hints import hint_for
from asyncpipe.packer.lines import Cancelled, OutputEvent, Parser, PhaseEntered
from asyncpipe.packer.output_rows import MachineRows
from asyncpipe.packer.phases import PhaseTracker
from tests.packer.recordings import lines_of, names, recorded


def _read(lines: list[str]) -> tuple[Causes, list[OutputEvent]]:
    parser, causes, events = Parser(), Causes(), []
    for line in lines:
        found = parser.feed_line(line)
        causes.take(line, found)
        events += found
    for event in parser.finish():
        causes.take_event(event)
        events.append(event)
    return causes, events


def _phases(events: list[OutputEvent]) -> list[Phase]:
    tracker = PhaseTracker(at_s=0.0, at_utc="t0")
    for number, event in enumerate(events, 1):
        if isinstance(event, PhaseEntered):
            tracker.enter(event.phase, at_s=float(number), at_utc=f"t{number}")
    return [span.phase for span in tracker.finish(at_s=1000.0)]


XENSERVER = [
    *(Phase.START, Phase.ISO_DOWNLOAD, Phase.ISO_UPLOAD, Phase.CREATE, Phase.BOOT, Phase.WAIT_IP),
    *(Phase.CONNECT, Phase.PROVISION, Phase.SHUTDOWN, Phase.EXPORT, Phase.CLEANUP),
]


def test_a_xenserver_build_goes_through_every_phase_in_order() -> None:
    assert _phases(_read(lines_of("xcp-ok-plain"))[1]) == XENSERVER


def test_the_prefix_of_packer_1_13_tells_the_same_phases() -> None:
    newer = [re.sub(r"^    (?=xenserver)", "==> ", line) for line in lines_of("xcp-ok-plain")]
    assert _phases(_read(newer)[1]) == XENSERVER


def test_a_phase_is_never_entered_twice_and_never_backwards() -> None:
    tracker = PhaseTracker(at_s=10.0, at_utc="a")
    assert tracker.enter(Phase.EXPORT, at_s=11.5, at_utc="b")
    assert not tracker.enter(Phase.PROVISION, at_s=12.0, at_utc="c")
    assert not tracker.enter(Phase.EXPORT, at_s=12.0, at_utc="c")
    spans = tracker.finish(at_s=14.0)
    assert [(s.phase, s.started_utc, s.duration_s) for s in spans] == [
        (Phase.START, "a", 1.5),
        (Phase.EXPORT, "b", 2.5),
    ]


def test_what_a_provisioner_prints_as_a_message_begins_no_phase() -> None:
    _, events = _read(["    null.demo: Step: export artifact"])
    assert not [e for e in events if isinstance(e, PhaseEntered)]


@pytest.mark.parametrize(
    "name", ["sig-sleep-TERM-pid", "xcp-cancel-export-TERM-pid", "xcp-cancel-wait-ip-INT-pgid"]
)
def test_an_interrupted_build_is_known_as_such(name: str) -> None:
    _, events = _read(lines_of(name))
    assert any(isinstance(event, Cancelled) for event in events)


@pytest.mark.parametrize("name", ["ok-plain", "fail-plain", "xcp-ok-plain"])
def test_no_other_build_is_taken_for_an_interrupted_one(name: str) -> None:
    _, events = _read(lines_of(name))
    assert not any(isinstance(event, Cancelled) for event in events)


@pytest.mark.parametrize(
    ("name", "file", "line", "summary"),
    [
        (
            "bad-syntax-plain",
            "/srv/build/templates/bad-syntax.pkr.hcl",
            1,
            "Invalid single-argument block definition",
        ),
        ("bad-arg-plain", "/srv/build/templates/bad-arg.pkr.hcl", 3, "Unsupported argument"),
        ("var-plain", "", None, 'Unset variable "needed"'),
        ("xcp-validate-bad", "/srv/build/templates/xcp-bad.pkr.hcl", 1, "9 error(s) occurred"),
    ],
)
def test_a_diagnostic_tells_its_place(name: str, file: str, line: int | None, summary: str) -> None:
    causes, _ = _read(lines_of(name))
    first = causes.diagnostics[0]
    assert (first.file, first.line, first.summary) == (file, line, summary)


def test_a_diagnostic_keeps_what_is_wrong_and_drops_the_source() -> None:
    causes, _ = _read(lines_of("bad-arg-plain"))
    assert causes.lines()[0] == (
        "/srv/build/templates/bad-arg.pkr.hcl:3: Unsupported argument: "
        'An argument named "no_such_argument" is not expected here.'
    )


def test_a_failed_provisioner_is_the_cause_and_its_last_words_follow() -> None:
    causes, _ = _read(lines_of("fail-plain"))
    lines = causes.lines()
    assert lines[0].startswith("null.demo: Script exited with non-zero exit status: 7.")
    assert "null.demo: before" in lines
    assert "provisioning script failed" in hint_for(lines)


def test_what_a_provisioner_said_on_stderr_comes_before_its_other_last_words() -> None:
    causes, _ = _read(
        [
            "    null.demo: Setting up systemd",
            "==> null.demo: E: Unable to locate package x",
            "    null.demo: bye",
            "Build 'null.demo' errored after 1 second: Script exited with exit status: 7",
        ]
    )
    assert causes.lines()[1:] == (
        "null.demo: E: Unable to locate package x",
        "null.demo: Setting up systemd",
        "null.demo: bye",
    )


def test_the_error_nearest_to_the_end_comes_first_and_noise_does_not_drown_it() -> None:
    noise = [f"    null.demo: Setting up package {number}" for number in range(30)]
    causes, _ = _read(
        [
            "==> null.demo: W: Failed to fetch an index",
            *noise,
            "==> null.demo: E: Unable to locate package x",
            "Build 'null.demo' errored after 1 second: Script exited with exit status: 7",
        ]
    )
    assert causes.lines()[1:3] == (
        "null.demo: E: Unable to locate package x",
        "null.demo: W: Failed to fetch an index",
    )
    assert len(causes.lines()) == 1 + 5


def test_a_halted_build_names_the_reason_that_stands_before() -> None:
    causes, _ = _read(lines_of("tty-download-plain"))
    lines = causes.lines()
    assert lines[0] == "qemu.dl: Error determining qemu version: exit status 1"
    assert lines[-1] == "qemu.dl: Build was halted."


def test_parallel_builds_do_not_lend_each_other_their_last_words() -> None:
    causes, _ = _read(
        [
            "==> null.good: Error: nothing of the kind",
            "==> null.bad: cannot find the disk",
            "Build 'null.bad' errored after 1 second: Build was halted.",
        ]
    )
    assert causes.lines() == ("null.bad: cannot find the disk", "null.bad: Build was halted.")


def test_missing_plugins_lead_to_packer_init() -> None:
    causes, _ = _read(
        [
            "Error: Missing plugins",
            "",
            "The following plugins are required, but not installed:",
            "",
            "* github.com/vatesfr/xenserver >= v0.9.0",
            "",
            "Did you run packer init for this project ?",
        ]
    )
    assert "packer init" in hint_for(causes.lines())


def test_without_any_known_form_the_last_lines_are_the_cause() -> None:
    causes, _ = _read(
        ["Usage: packer build [options] TEMPLATE", "flag provided but not defined: -x"]
    )
    assert causes.lines() == ("flag provided but not defined: -x",)
    causes, _ = _read(["something", "else"])
    assert causes.lines() == ("something", "else")


def test_causes_are_bounded_and_do_not_act_on_a_terminal() -> None:
    causes, _ = _read(
        [f"Build 'n.{i}' errored after 1 second: \x1b[2J{i}{'x' * 9000}" for i in range(100)]
    )
    lines = causes.lines()
    assert len(lines) <= 12
    assert all(len(line) <= 500 and line.isprintable() for line in lines)


def test_artifacts_come_from_the_rows_of_the_log() -> None:
    rows = MachineRows()
    rows.feed_lines(recorded("file-log").decode().split("\n"))
    assert rows.artifacts == (
        PackerArtifact(
            build_name="named.file.art", builder_id="packer.file", path="out/artifact,one.txt"
        ),
        PackerArtifact(
            build_name="named.file.art",
            builder_id="packer.post-processor.checksum",
            path="out/art_sha256.checksum",
        ),
    )


def test_go_escapes_in_a_path_are_read() -> None:
    rows = MachineRows()
    rows.feed_line(
        r'x machine readable: a,artifact []string{"0", "file", "0", "o\"u\\t\u00fc\x41"}'
    )
    assert rows.artifacts[0].path == 'o"u\\tüA'


def test_plugin_versions_come_from_the_paths_of_their_binaries() -> None:
    rows = MachineRows()
    rows.feed_line(
        "2026/11/23 17:12:57 [INFO] Starting external plugin /home/x/.config/packer/plugins/"
        "github.com/vatesfr/xenserver/packer-plugin-xenserver_v0.11.4_x5.0_linux_amd64 start"
    )
    assert rows.plugin_versions == {"github.com/vatesfr/xenserver": "0.11.4"}


@pytest.mark.parametrize("name", names())
def test_every_recording_is_read_without_complaint(name: str) -> None:
    causes, _ = _read(lines_of(name))
    assert all(line.isprintable() for line in causes.lines())
