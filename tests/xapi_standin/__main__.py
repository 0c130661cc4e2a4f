"""``python -m tests.xapi_standin``: a host to try asyncpipe against, without a hypervisor."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from pathlib import Path

from tests.xapi_standin.faults import Export, Faults, Import
from tests.xapi_standin.server import running_xapi


def main() -> None:
    """Serve until SIGTERM or SIGINT; prints the environment for a shell when it listens."""
    parser = argparse.ArgumentParser(prog="tests.xapi_standin", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dir", type=Path, help="where its certificate authority goes")
    parser.add_argument("--master", metavar="ADDRESS", help="be a slave of that host")
    parser.add_argument("--export-file", type=Path, help="what exports send [a small XVA]")
    parser.add_argument("--export", choices=[*Export], type=Export, default=Export.PLAIN)
    parser.add_argument("--import", dest="import_", choices=[*Import], type=Import, default="plain")
    parser.add_argument("--at-bytes", type=int, default=1024 * 1024, help="where they break")
    parser.add_argument("--fail", action="append", default=[], metavar="METHOD[,CODE,PARAMETER...]")
    parser.add_argument("--hang", action="append", default=[], metavar="METHOD")
    arguments = parser.parse_args()
    faults = Faults(
        export=arguments.export,
        import_=arguments.import_,
        at_bytes=arguments.at_bytes,
        hanging=set(arguments.hang),
    )
    for text in arguments.fail:
        method, *description = text.split(",")
        faults.fail(method, *description)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with running_xapi(
        faults,
        port=arguments.port,
        folder=arguments.dir,
        master=arguments.master,
        export_file=arguments.export_file,
    ) as xapi:
        lines = [f"export {name}={shlex.quote(v)}" for name, v in xapi.environment.items()]
        print("\n".join(lines), flush=True)  # noqa: T201 - for a shell, at once
        stop.wait()


if __name__ == "__main__":
    main()
