"""A strict S3 stand-in on loopback that can be told to fail; ``python -m tests.s3_standin.server``.

Use in tests::

    with running_standin(Faults([refuse("UploadPart", "SlowDown", times=3)])) as standin:
        async with open_store(standin.destination, environment=standin.environment) as store: ...
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.s3_standin.connections import Server
from tests.s3_standin.faults import Faults, Kind, Rule
from tests.s3_standin.operations import Operations
from tests.s3_standin.profiles import PROFILES, Profile
from tests.s3_standin.standin import StandIn
from tests.s3_standin.storage import Storage

BUCKET = "bucket"
ACCESS_KEY = "standin-key"
SECRET_KEY = "standin-secret"


@contextlib.contextmanager
def running_standin(
    faults: Faults | None = None,
    *,
    profile: Profile | str = "strict",
    folder: Path | None = None,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[StandIn]:
    """Serve from threads until the context ends; ``folder`` keeps what is stored."""
    with contextlib.ExitStack() as stack:
        root = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root.mkdir(parents=True, exist_ok=True)
        storage = Storage(root)
        storage.create_bucket(BUCKET)
        rules = PROFILES[profile] if isinstance(profile, str) else profile
        server = Server(port, tls)
        standin = StandIn(
            endpoint_url=f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}",
            bucket=BUCKET,
            storage=storage,
            operations=Operations(storage, rules),
            faults=faults or Faults(),
            keys={ACCESS_KEY: SECRET_KEY},
            requests=[],
        )
        server.standin = standin
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="s3-standin")
        thread.start()
        try:
            yield standin
        finally:
            server.stop()
            thread.join()


def main() -> None:
    """Serve until SIGTERM or SIGINT; prints one line of JSON when it listens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="strict")
    parser.add_argument("--fault", action="append", default=[], help="a Rule as JSON")
    arguments = parser.parse_args()
    faults = Faults([_rule(text) for text in arguments.fault])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with running_standin(
        faults, profile=arguments.profile, folder=arguments.dir, port=arguments.port
    ) as standin:
        line = {"destination": standin.destination, "environment": standin.environment}
        print(json.dumps(line), flush=True)  # noqa: T201 - the caller waits for it
        stop.wait()


def _rule(text: str) -> Rule:
    raw = json.loads(text)
    return Rule(**{**raw, "kind": Kind(raw["kind"])})


if __name__ == "__main__":
    main()
