"""The table of started clones says what was seen, and what was not."""

from __future__ import annotations

from tests.boot.table import BEGIN, DOCUMENT, END, HEAD, STARTS, table


def _record(**other: object) -> dict[str, object]:
    return {
        "login_s": 300,
        "login_cpu_s": 90,
        "failed": "",
        "cloud-init": "done",
        "renewed": True,
        "sudo": "",
        "root-size": "5800M",
        "clock": "yes",
        "settings": "all settings are in force",
        "machine-id": "1",
        "host-keys": "A B",
        **other,
    }


def test_a_start_that_was_seen_has_a_row_and_the_others_are_listed() -> None:
    lines = table({("debian12", "a"): _record()}).splitlines()
    assert [line.count(" | ") for line in lines[:3]] == [len(HEAD) - 1] * 3
    assert lines[2].startswith("| Debian 12, baseline | BIOS, NoCloud, slot 3 |")
    assert lines[2].endswith(
        "| none | done | yes | nothing | 5800 MiB | synchronised | all | new |"
    )
    missing = [line for line in lines if line.startswith("- ")]
    assert [line.count(";") + 1 for line in missing] == [len(STARTS) - 1] + [len(STARTS)] * 2


def test_what_is_wrong_with_a_clone_is_in_its_row() -> None:
    bad = _record(
        failed="ssh.service", renewed=False, settings="FAILED: a\nFAILED: b\nnot in force"
    )
    text = table({("debian12", "a"): _record(), ("debian12", "b"): bad})
    row = next(line for line in text.splitlines() if "ssh.service" in line)
    assert "| **no** |" in row
    assert "| **2 not** |" in row
    assert "**shared: machine-id, host-keys**" in row


def test_the_document_has_a_place_for_it() -> None:
    assert DOCUMENT.read_text().index(BEGIN) < DOCUMENT.read_text().index(END)
