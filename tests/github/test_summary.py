"""The step summary tells what happened and always fits."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.model.publication import Outcome
from asyncpipe.report.changes import changes
from asyncpipe.report.github import SUMMARY_LIMIT_BYTES, summary
from asyncpipe.report.github.summary import escaped
from tests.report.samples import RUN, SHA256, failed, published


def version(size_bytes: int, **packages: str) -> dict[str, object]:
    return {
        "files": {"xva": {"size_bytes": size_bytes}},
        "packages": [{"name": n, "version": v, "arch": "amd64"} for n, v in packages.items()],
    }


def test_a_published_template_shows_where_it_is_and_how_to_use_it() -> None:
    text = summary([published()], RUN)
    assert "## Templates: 1 published, 0 failed" in text
    assert f"<code>{SHA256}</code>" in text
    assert "1.4 GiB" in text
    assert "the first version here" in text
    assert "gantt" in text
    assert "  provision :2026-11-23T17:01:00, 180s" in text


def test_the_difference_to_the_version_before_names_packages() -> None:
    now = version(3 * 1024**3, openssl="3.0.16", nginx="1.22", bash="5.2")
    before = version(2 * 1024**3, openssl="3.0.15", telnet="0.17", bash="5.2")
    text = summary([published(metadata=now, previous=before)], RUN)
    assert "size: +1.0 GiB against the version before" in text
    assert "packages added: 1: nginx 1&#46;22" in text
    assert "packages removed: 1: telnet 0&#46;17" in text
    assert "packages changed: 1: openssl 3&#46;0&#46;15 &#45;&#62; 3&#46;0&#46;16" in text


def test_a_version_before_of_another_shape_is_no_difference_and_no_error() -> None:
    strange: list[dict[str, object]] = [
        {"files": [], "packages": "x"},
        {"files": {"xva": None}, "packages": [1, {"name": None}]},
        {"packages": None},
    ]
    for before in strange:
        difference = changes(version(1, a="1"), before)
        assert difference is not None
        assert difference.size_change_bytes is None
        assert not difference.packages_known


def test_a_failure_shows_cause_hint_place_and_the_end_of_its_log() -> None:
    outcome = failed(file="templates/x/a.pkr.hcl", line=12, log_tail=("before", "boom"))
    text = summary([outcome], RUN)
    assert "Script exited with non&#45;zero exit status&#58; 7" in text
    assert "hint: Look at the lines above the error" in text
    assert "a&#46;pkr&#46;hcl&#58;12" in text
    assert "before\nboom" in text
    assert "provision :crit, 2026-11-23T17:00:00, 42s" in text


def mixed(count: int, tail: str) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for number in range(count):
        if number % 2:
            packages = {f"package-{n}-of-{number}": "1" for n in range(2000)}
            now, before = version(2, **packages), version(1, other="1")
            outcomes.append(published(f"good-{number}", metadata=now, previous=before))
        else:
            outcomes.append(failed(f"bad-{number}", log_tail=(tail,) * 1000))
    return outcomes


def test_fifty_templates_with_long_logs_fit_and_none_is_missing() -> None:
    outcomes = mixed(50, "é" * 5000)
    text = summary(outcomes, RUN)
    assert len(text.encode()) <= SUMMARY_LIMIT_BYTES
    table = text.partition("### ")[0]
    for outcome in outcomes:
        assert escaped(outcome.unit) in table


def test_what_is_needed_least_goes_first_when_there_is_no_room() -> None:
    outcomes = mixed(50, "x" * 500)
    text = summary(outcomes, RUN, limit_bytes=60_000)
    assert len(text.encode()) <= 60_000
    assert "more sections did not fit" in text
    assert "End of the log" not in text
    assert "bad&#45;48 failed" in text
    assert all(escaped(outcome.unit) in text for outcome in outcomes)


@given(st.integers(min_value=500, max_value=40_000))
def test_any_limit_is_kept(limit_bytes: int) -> None:
    text = summary(mixed(8, "x" * 300), RUN, limit_bytes=limit_bytes)
    assert len(text.encode()) <= limit_bytes


@given(st.text(max_size=200))
def test_a_guests_words_are_never_markup(text: str) -> None:
    shown = escaped(text)
    assert re.search(r"[`*_<>\[\]|@]|www\.|https?:", shown) is None
    assert "\n" not in shown


def test_html_and_fences_in_a_log_stay_text() -> None:
    tail = ("</pre></details><script>x</script>", "", "```", "# head", "[a](b) @all https://x.y")
    text = summary([failed(log_tail=tail)], RUN)
    body = text.split("<pre>\n")[1].split("\n</pre>")[0]
    assert re.search(r"[<>`\[\]@]|https:", body) is None
