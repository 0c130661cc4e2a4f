"""The plugin's session is found however its output is cut; a guest's text costs nothing."""

from __future__ import annotations

import pytest

from asyncpipe.packer.host_objects import SessionsHeard

REFERENCE = "OpaqueRef:0a1b2c3d-0000-4000-8000-0123456789ab"
PUT = (
    "==> x.y: PUT 'https://127.0.0.1:8443/import_raw_vdi?session_id="
    f"{REFERENCE.replace(':', '%3A')}&task_id=OpaqueRef%3A1'\n"
)
GET = f"    x.y: Getting XVA https://h/export?uuid=1&session_id={REFERENCE}\n"


@pytest.mark.parametrize("line", [PUT, GET])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_it_is_heard_once_however_the_output_is_cut(line: str, size: int) -> None:
    sessions, data = SessionsHeard(), (f"before\n{line}after\n").encode()
    heard = [one for at in range(0, len(data), size) for one in sessions.take(data[at : at + size])]
    assert heard == [REFERENCE]


@pytest.mark.parametrize(
    "text",
    [
        f"session_id={REFERENCE}",
        f"GET https://h/?session_id={REFERENCE}",
        "PUT 'https://h/?session_id=OpaqueRef:short'",
        f"PUT 'https://h/ session_id={REFERENCE}'",
    ],
)
def test_what_the_plugin_did_not_say_is_not_heard(text: str) -> None:
    assert SessionsHeard().take(text.encode() + b"\n") == []


def test_a_guest_that_prints_many_is_bounded() -> None:
    sessions = SessionsHeard()
    assert sum(len(sessions.take(PUT.encode())) for _ in range(1000)) == 20
