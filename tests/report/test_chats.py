"""What is posted to a chat is what the chat takes, and nobody's words act in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest

from asyncpipe.cli import main
from asyncpipe.model.publication import Outcome
from asyncpipe.model.run import ChatFormat
from asyncpipe.report import webhook
from asyncpipe.stores.directory.store import DirectoryStore
from tests.catalog.published import NEW, OLD
from tests.report.chats import SCHEMAS
from tests.report.samples import failed, published
from tests.report.test_webhook_adapter import SECRET, chat
from tests.stores.test_s3_presigned import publish_one

HOSTILE = "<!channel> @here <@U1> [x](http://y) **b** <b>&amp;</b> `c` @room \x1b[31m"
OUTCOMES: list[Outcome] = [published(), failed(error=HOSTILE)]
FORMS = sorted(SCHEMAS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "outcomes", [[], OUTCOMES, [failed(error="e" * 5000)] * 500], ids=["none", "two", "many"]
)
def test_every_body_fits_what_its_chat_takes(outcomes: list[Outcome], form: ChatFormat) -> None:
    for url in ("", "https://ci.example/run/1"):
        posted = webhook.payload(outcomes, run_url=url, form=form)
        jsonschema.validate(posted, SCHEMAS[form])
        assert len(json.dumps(posted)) < 28_000


@pytest.mark.parametrize("form", FORMS)
def test_a_revocation_fits_too_and_says_why_and_by_whom(form: ChatFormat) -> None:
    message = webhook.revocation(
        f"debian12@{NEW}", reason=HOSTILE, by="ann", moved=[f"latest is debian12@{OLD}"]
    )
    posted = webhook.body(message, form)
    jsonschema.validate(posted, SCHEMAS[form])
    text = json.dumps(posted)
    assert f"debian12@{NEW} is REVOKED" in text
    assert "ann" in text
    assert OLD in text


ACTS = {
    ChatFormat.SLACK: ("<!channel>", "<@U1>", "\x1b"),
    ChatFormat.TEXT: ("<!channel>", "@here", "[x](", "**b**", "<b>", "\x1b"),
    ChatFormat.DISCORD: ("@here", "[x](", "**b**", "\x1b"),
    ChatFormat.TEAMS: ("[x](", "**b**", "<b>", "\x1b"),
    ChatFormat.MATRIX: ("@room", "@here", "\x1b"),
}


@pytest.mark.parametrize("form", FORMS)
def test_nobodys_words_mention_anyone_or_become_markup(form: ChatFormat) -> None:
    posted: Any = webhook.payload(OUTCOMES, form=form)
    text = json.dumps(posted, ensure_ascii=False)
    for active in ACTS[form]:
        assert active not in text
    if form is ChatFormat.MATRIX:
        assert "<b>" not in posted["html"]
        assert "&lt;b&gt;" in posted["html"]
    if form is ChatFormat.SLACK:
        assert posted["mrkdwn"] is False


@pytest.mark.parametrize("answer", [200, 500])
def test_a_revocation_is_posted_and_a_chat_that_refuses_it_is_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: int,
) -> None:
    taken: list[Any] = []
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(tmp_path))

    async def with_chat() -> int:
        await publish_one(DirectoryStore(tmp_path))
        async with chat(answer, taken) as url:
            monkeypatch.setenv("ASYNCPIPE_WEBHOOK_URL", url)
            arguments = ["revoke", f"debian12@{NEW}", "--reason", "bad kernel"]
            return await anyio.to_thread.run_sync(main.run, arguments)

    with monkeypatch.context():
        assert anyio.run(with_chat) == 0
    captured = capsys.readouterr()
    (posted,) = taken
    assert f"debian12@{NEW} is REVOKED" in posted["text"]
    assert "bad kernel" in posted["text"]
    assert ("answered 500" in captured.err) == (answer == 500)
    assert SECRET not in captured.out + captured.err
