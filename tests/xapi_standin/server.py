"""A strict stand-in for XAPI on loopback; ``python -m tests.xapi_standin`` serves it by itself.

Use in tests::

    with running_xapi() as xapi:
        xapi.faults.fail("VM.destroy", "INTERNAL_ERROR", "the disk is stuck")
        async with open_pool(access_to(xapi)) as pool: ...
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.stores.certificates import Authority
from tests.xapi_standin.calls import Calls
from tests.xapi_standin.connections import Server
from tests.xapi_standin.faults import Faults
from tests.xapi_standin.standin import XapiStandIn, image_of
from tests.xapi_standin.state import furnished
from tests.xapi_standin.transfers import Transfers

USERNAME = "root"
PASSWORD = "standin-password"


@contextlib.contextmanager
def running_xapi(
    faults: Faults | None = None,
    *,
    port: int = 0,
    folder: Path | None = None,
    master: str | None = None,
    export_file: Path | None = None,
) -> Iterator[XapiStandIn]:
    """Serve from threads until the context ends; ``master``: this host is a slave of that one.

    ``folder`` gets the certificate authority (``authority.pem``).
    """
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.mkdir(parents=True, exist_ok=True)
        authority = Authority(place)
        server = Server(port, authority.server("127.0.0.1"))
        state = furnished("127.0.0.1")
        state.port = server.server_address[1]
        knobs = faults or Faults()
        calls = Calls(state, {USERNAME: PASSWORD}, master)
        standin = XapiStandIn(
            address=f"127.0.0.1:{server.server_address[1]}",
            username=USERNAME,
            password=PASSWORD,
            ca_file=authority.bundle,
            fingerprint=_fingerprint(place / "127.0.0.1-0.pem"),
            state=state,
            faults=knobs,
            transfers=Transfers(
                state=state, calls=calls, faults=knobs, image=image_of(export_file)
            ),
        )
        server.standin = standin
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="xapi-standin")
        thread.start()
        try:
            yield standin
        finally:
            server.stop()
            thread.join()


def _fingerprint(path: Path) -> str:
    pem = path.read_text(encoding="ascii").partition("-----END CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])).hexdigest()
