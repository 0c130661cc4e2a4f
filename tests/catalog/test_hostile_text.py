"""Text of the store that is a command for GitHub's runner or a terminal is shown, not obeyed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from asyncpipe import catalog
from asyncpipe.cli import main
from asyncpipe.model import store_keys
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.model.documents.metadata import PublishedMetadata
from asyncpipe.report.safe_stream import guarded
from tests.catalog.published import NEW, OLD
from tests.github.runner_standin import parse
from tests.metadata import documents as make

BOO = "boo"
HOSTILE = (
    f"x\n::add-mask::{BOO}\r::set-output name=urls::{BOO}\n"
    f"##[set-output name=urls]{BOO}\x1b[2J\x9b2J\x1b]0;{BOO}\x07\u202e::error::{BOO}"
)
NAME = f"bad\n::add-mask::{BOO}\n##[set-output name=urls]{BOO}\x1b[2J"
COMMANDS = (
    ["list"],
    ["list", "--fresh"],
    ["list", "--json"],
    ["latest", "debian12"],
    ["latest", "debian12", "--json"],
    ["latest", NAME],
    ["show", f"debian12@{NEW}"],
    ["show", f"debian12@{NEW}", "--json"],
    ["diff", f"debian12@{OLD}", f"debian12@{NEW}"],
    ["logs", f"debian12@{NEW}"],
    ["sbom", f"debian12@{NEW}"],
    ["pull", "debian12", "-o", "out.xva", "--no-verify-xva"],
    ["pull", NAME],
    ["pull", "debian12", "-o", f"{NAME}/x.xva"],
    ["channel", "list"],
    ["history", "debian12"],
    ["prune", "--keep", "1"],
    ["reap", "--older-than", "0s"],
)


def _texts(value: Any) -> Iterator[tuple[Any, Any]]:
    for name in value if isinstance(value, dict) else range(len(value)):
        if isinstance(value[name], str):
            yield value, name
        elif isinstance(value[name], dict | list):
            yield from _texts(value[name])


def hostile_document(timestamp: str) -> bytes:
    """Return a document in which every text that the schema allows is hostile."""
    document: Any = make.published(timestamp=timestamp, body=timestamp.encode())
    document = json.loads(json.dumps(document))
    count = 0
    for holder, name in list(_texts(document)):
        before, holder[name] = holder[name], HOSTILE
        try:
            catalog.entry_of(msgspec.convert(document, PublishedMetadata))
            count += 1
        except (msgspec.ValidationError, UnreadableError):
            holder[name] = before
    assert count >= 10
    return json.dumps(document).encode()


@pytest.fixture
def destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder store whose documents, log and names are hostile; it is the default destination."""
    folder = tmp_path / "published"
    for timestamp in (OLD, NEW):
        place = folder / store_keys.folder_key("debian12", timestamp)
        place.mkdir(parents=True)
        (place / "metadata.json").write_bytes(hostile_document(timestamp))
        (place / "debian12.xva").write_bytes(timestamp.encode())
        (place / "build.log").write_text(HOSTILE)
    for name in (NAME, f"templates/{NAME}"):
        (folder / name / OLD).mkdir(parents=True)
        (folder / name / OLD / "metadata.json").write_text(HOSTILE)
    (folder / "templates/debian12/latest.json").write_text(json.dumps({"key": HOSTILE}))
    channels = folder / "templates/debian12/channels"
    channels.mkdir()
    (channels / "stable.json").write_text(json.dumps({"timestamp": HOSTILE}))
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(folder))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.usefixtures("destination")
@pytest.mark.parametrize(
    "arguments", COMMANDS, ids=lambda words: " ".join(words)[:30].split("\n")[0]
)
def test_no_text_of_the_store_is_obeyed(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.StringIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", guarded(printed, github=True))
    code = main.run(arguments)
    text = printed.getvalue()
    assert "Traceback" not in text
    assert "unexpected error" not in text
    assert code != 1
    assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(text)
    step = parse(text)
    assert step.outputs == {}
    assert step.masks == set()
    assert {one.name for one in step.obeyed} <= {"error", "warning"}
    for one in step.obeyed:  # ours, about a command that failed: what it quotes is one line
        assert one.properties["title"].startswith("asyncpipe ")
