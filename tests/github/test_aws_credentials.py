"""The credential_process of the action: one identity token for one fresh session of the role."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from tests.github.workflow_files import ROOT

PROGRAM = ROOT / "bin/aws-credentials"
SESSION = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>
<SecretAccessKey>a/b+c&amp;d</SecretAccessKey><SessionToken>tok==</SessionToken>
<Expiration>2026-11-23T18:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""
DENIED = (
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
)


class Services(BaseHTTPRequestHandler):
    """GitHub's identity service (GET) and STS (POST)."""

    asked: list[tuple[str, str]]
    status = 200

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        self.answer(200, json.dumps({"value": "identity-token"}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.path, body))
        self.answer(self.status, SESSION if self.status == 200 else DENIED)

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture(params=[200])
def services(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    asked: list[tuple[str, str]] = []
    handler = type("Handler", (Services,), {"asked": asked, "status": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        serving.join(10)


def run(base: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{base}/token?api-version=2",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-secret",
        "AWS_ENDPOINT_URL_STS": f"{base}/sts",
        "ASYNCPIPE_AWS_ROLE": "arn:aws:iam::123456789012:role/publish",
        "GITHUB_RUN_ID": "77",
        **changes,
    }
    return subprocess.run(
        [sys.executable, str(PROGRAM)],
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_prints_a_session_as_botocore_reads_it(
    services: tuple[str, list[tuple[str, str]]],
) -> None:
    base, asked = services
    assert json.loads(run(base).stdout) == {
        "Version": 1,
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "a/b+c&d",
        "SessionToken": "tok==",
        "Expiration": "2026-11-23T18:00:00Z",
    }
    (token_path, bearer), (_, body) = asked
    assert token_path == "/token?api-version=2&audience=sts.amazonaws.com"
    assert bearer == "Bearer request-secret"
    assert parse_qs(body)["WebIdentityToken"] == ["identity-token"]
    assert parse_qs(body)["RoleSessionName"] == ["asyncpipe-77"]


@pytest.mark.parametrize("services", [403], indirect=True)
def test_a_refusal_says_why_and_names_no_token(
    services: tuple[str, list[tuple[str, str]]],
) -> None:
    done = run(services[0])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "aws-credentials: the service answered 403 AccessDenied\n"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, "id-token: write"),
        ({"ASYNCPIPE_AWS_ROLE": ""}, "aws-role"),
        ({"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1/"}, "could not be reached"),
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": "file:///etc/hostname"}, "not an http(s) address"),
    ],
)
def test_every_failure_is_one_line_that_says_what_to_do(
    services: tuple[str, list[tuple[str, str]]], changes: dict[str, str], reason: str
) -> None:
    done = run(services[0], **changes)
    assert done.returncode == 1
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert "request-secret" not in done.stderr
