"""The door: Ctrl-C while the first modules are imported ends with a sentence, no traceback."""

import os
import signal
import sys

_EXIT_CANCELLED = 130  # errors.py has it too, and imports more than may be imported here


def main() -> None:
    """Run the command line and exit with its code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:
            signal.signal(number, _leave)
    from asyncpipe.cli.main import main as run  # noqa: PLC0415 - what may be interrupted

    run()


def build_template() -> None:
    """``build-template ...`` is ``asyncpipe build ...``."""
    sys.argv[1:1] = ["build"]
    main()


def _leave(_number: int, _frame: object) -> None:
    """Nothing has begun: an exception could be lost in the import machinery instead."""
    try:
        os.write(2, b"\nasyncpipe: interrupted\n")
    finally:
        os._exit(_EXIT_CANCELLED)


if __name__ == "__main__":
    main()
