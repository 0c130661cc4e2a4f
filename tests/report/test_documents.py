"""The closing table, the JSON report and log, the exit code and the webhook."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.model.build import Phase
from asyncpipe.model.events import (
    Event,
    OutputLines,
    PhaseChanged,
    RunFinished,
    TemplateFinished,
    TemplateStarted,
)
from asyncpipe.model.publication import Outcome
from asyncpipe.model.run import ChatFormat
from asyncpipe.report import exit_code, json_report, webhook
from asyncpipe.report.console.table import closing, import_command
from asyncpipe.report.github import outputs, summary
from asyncpipe.report.json_log import open_json_log
from asyncpipe.text.format import duration_text, size_text
from tests.report.samples import DEBIAN, RUN, SHA256, failed, published


class TestClosingTable:
    def test_addresses_digest_and_command_are_whole_even_on_a_narrow_terminal(self) -> None:
        text = closing([published()], width=40)
        assert (
            "xva:      s3://images/golden/templates/debian12/20261123T170000Z/debian12.xva" in text
        )
        assert SHA256 in text

    def test_a_failure_says_cause_hint_place_log_and_code(self) -> None:
        text = closing([failed(file="a.pkr.hcl", line=3, remains=("VM 1234 may be left",))])
        for words in (
            "FAILED (20)",
            "error:    Packer ended with an error.\n",
            "code:     20 (Packer failed)",
            "at:       a.pkr.hcl:3",
            "cause:    Script exited with non-zero exit status: 7",
            "hint:     Look at the lines above the error.",
            "log:      runs/r1/rocky-9/build.log",
            "remains:  VM 1234 may be left",
        ):
            assert words in text

    def test_a_cause_that_the_error_told_is_not_told_again(self) -> None:
        causes = ("boom", "E: no such package", "Setting up libc6")
        text = closing([failed(error="Packer ended: boom", cause_lines=causes)])
        assert "  cause:    E: no such package\n            Setting up libc6\n" in text
        assert text.count("boom") == 1

    @pytest.mark.parametrize(
        ("base", "command"),
        [
            ("file:///srv/a%20b/", "xe vm-import filename='/srv/a b/"),
            ("https://host/", "xe vm-import url=https://host/"),
            ("s3://bucket/", 'xe vm-import url="$(aws s3 presign s3://bucket/'),
        ],
    )
    def test_the_import_command_fits_the_place(self, base: str, command: str) -> None:
        assert import_command(published(base=base).publication).startswith(command)

    def test_colours_only_when_asked_for(self) -> None:
        outcomes: list[Outcome] = [published(), failed()]
        assert "\x1b[" not in closing(outcomes)
        assert "\x1b[" in closing(outcomes, colour=True)


class TestJsonReport:
    def test_it_is_json_and_names_every_template_once(self) -> None:
        report = json.loads(json_report.encode([published(), failed()], RUN))
        assert report["schema_version"] == 1
        assert report["counts"] == {"published": 1, "failed": 1, "not_started": 0}
        good, bad = report["templates"]
        assert good["files"]["xva"]["sha256"] == SHA256
        assert good["os"]["version"] == "12"
        assert bad["exit_code"] == 20
        assert bad["phases"][0]["phase"] == "provision"

    @given(st.lists(st.text(), max_size=5))
    def test_it_is_bounded_and_harmless_whatever_the_guest_said(self, words: list[str]) -> None:
        lines = tuple(word * 500 for word in words) * 100
        outcome = failed(error="".join(words), cause_lines=lines, log_tail=lines)
        text = json_report.encode([outcome], RUN).decode()
        assert len(text) < 3_000_000
        assert "\\u001b" not in text

    def test_a_path_that_is_not_utf_8_is_escaped(self) -> None:
        outcome = failed(file=os.fsdecode(b"caf\xe9.pkr.hcl"))
        report = json.loads(json_report.encode([outcome], RUN))
        assert report["templates"][0]["at"]["file"] == "caf\\udce9.pkr.hcl"


class TestJsonLog:
    def test_each_event_is_one_line_with_its_dotted_name_and_template(self) -> None:
        stream = io.StringIO()
        events: list[Event] = [
            TemplateStarted(unit="u", template_path="templates/u", identity=DEBIAN),
            OutputLines(unit="u", text='quote " and \x1b[0m escape'),
            PhaseChanged(unit="u", phase=Phase.EXPORT),
            TemplateFinished(unit="u", outcome=failed("u")),
            RunFinished(run_id="r", outcomes=(failed("u"),), exit_code=20, duration_s=1.0),
        ]
        with open_json_log(stream=stream) as log:
            for event in events:
                log.emit(event)
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [line["event"] for line in lines] == [event.name for event in events]
        assert {line["unit"] for line in lines[:4]} == {"u"}
        assert lines[1]["text"] == 'quote " and  escape'
        assert lines[2]["phase"] == "export"
        assert (lines[3]["level"], lines[3]["exit_code"]) == ("error", 20)
        assert lines[4]["outcomes"]["u"]["result"] == "failed"
        assert all(line["timestamp"].endswith("Z") for line in lines)


@pytest.mark.parametrize(
    ("outcomes", "count", "cancelled", "code"),
    [
        ([published()], 1, False, 0),
        ([failed(exit_code=31)], 1, False, 31),
        ([published(), failed(exit_code=31)], 2, False, 4),
        ([failed(exit_code=31), failed(exit_code=31)], 2, False, 4),
        ([published(), published()], 2, False, 0),
        ([published()], 2, False, 4),
        ([published()], 2, True, 130),
        ([], 1, True, 130),
    ],
)
def test_exit_codes(outcomes: list[Outcome], count: int, cancelled: bool, code: int) -> None:
    assert exit_code.of(outcomes, template_count=count, cancelled=cancelled) == code


class TestWebhook:
    def test_failures_come_first_and_a_guest_mentions_nobody(self) -> None:
        outcomes: list[Outcome] = [published(), failed(error="@channel <!here> [x](http://y)")]
        payload = webhook.payload(outcomes, run_url="https://ci.example/run/1")
        text = str(payload["text"])
        lines = text.split("\n")
        assert lines[0] == "asyncpipe: 1 published, 1 failed"
        assert lines[1].startswith("- rocky-9: FAILED (20)")
        assert "@channel" not in text
        assert "<!here>" not in text
        assert "[x](" not in text
        assert lines[-1] == "https://ci.example/run/1"

    def test_many_templates_stay_within_what_chats_take(self) -> None:
        text = str(webhook.payload([failed(error="e" * 5000) for _ in range(500)])["text"])
        assert len(text) <= 12_000
        assert list(webhook.payload([])) == ["text"]

    @pytest.mark.parametrize(
        ("url", "form"),
        [
            ("https://hooks.slack.com/services/T/B/x", ChatFormat.SLACK),
            ("https://chat.example.org/hooks/x", ChatFormat.TEXT),
            ("https://discord.com/api/webhooks/1/x/slack", ChatFormat.TEXT),
            ("https://discord.com/api/webhooks/1/x", ChatFormat.DISCORD),
            ("https://prod-1.westeurope.logic.azure.com:443/workflows/x", ChatFormat.TEAMS),
            ("https://a.b.environment.api.powerplatform.com/powerautomate/x", ChatFormat.TEAMS),
            ("https://example.org/logic.azure.com", ChatFormat.TEXT),
            ("https://notlogic.azure.com.example.org/", ChatFormat.TEXT),
        ],
    )
    def test_the_form_follows_from_the_address(self, url: str, form: ChatFormat) -> None:
        assert webhook.format_of(url) is form

    def test_a_teams_workflow_gets_a_message_with_one_adaptive_card(self) -> None:
        outcomes: list[Outcome] = [published(), failed(error="<at>everyone</at> [x](http://y)")]
        posted: Any = webhook.payload(
            outcomes, run_url="https://ci.example/1", form=ChatFormat.TEAMS
        )
        assert posted["type"] == "message"
        (attachment,) = posted["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        card = attachment["content"]
        assert card["type"] == "AdaptiveCard"
        head, text = (block["text"] for block in card["body"])
        assert head == "asyncpipe: 1 published, 1 failed"
        assert text.startswith("- rocky-9: FAILED (20)")
        assert "<at>" not in text
        assert card["actions"][0]["url"] == "https://ci.example/1"

    def test_a_card_and_a_message_to_discord_stay_within_their_bounds(self) -> None:
        outcomes = [failed(error="e" * 5000) for _ in range(500)]
        card = webhook.payload(outcomes, form=ChatFormat.TEAMS)
        assert len(json.dumps(card)) < 28_000
        message = webhook.payload(outcomes, form=ChatFormat.DISCORD)
        assert len(str(message["content"])) <= 2000
        assert message["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (2**30 - 1, "1.0 GiB"),
        (3 * 2**40, "3.0 TiB"),
        (5000 * 2**40, "4.9 PiB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "0.0s"), (9.94, "9.9s"), (59.6, "1m00s"), (192, "3m12s"), (7500, "2h05m"), (-1, "0.0s")],
)
def test_durations(duration_s: float, text: str) -> None:
    assert duration_text(duration_s) == text


def test_a_template_that_was_never_started_is_counted_apart_everywhere() -> None:
    left_out = replace(failed("alpine-3"), started=False, exit_code=4, error="Not started.")
    outcomes: list[Outcome] = [published(), failed(), left_out]
    report = json.loads(json_report.encode(outcomes, RUN))
    assert report["counts"] == {"published": 1, "failed": 1, "not_started": 1}
    told = "1 published, 1 failed, 1 not started"
    assert told in summary(outcomes, RUN)
    assert told in str(webhook.payload(outcomes)["text"])
    written = outputs(outcomes, exit_code=4, run_directory="x", delimiter=lambda: "END")
    assert "failed-count<<END\n1\nEND\nnot-started-count<<END\n1\nEND\n" in written
