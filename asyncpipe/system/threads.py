"""Blocking calls that may never return: a stalled disk must not hold a signal, or the exit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

import anyio
from anyio import from_thread
from anyio.lowlevel import current_token

Result = TypeVar("Result")

_LINGER_S: Final = 1.0


class DaemonWorker(Executor):
    """Runs calls one after the other in a daemon thread, which ends when it is idle.

    A thread cannot be interrupted, so a call that hangs is left behind: later calls wait for it,
    their callers need not, and the process can still exit. Python's own pools are joined at
    exit.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._serving = False

    def submit(
        self, fn: Callable[..., Result], /, *args: object, **kwargs: object
    ) -> Future[Result]:
        """Queue a call."""
        future: Future[Result] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)

        with self._lock:
            self._calls.put(call)
            if not self._serving:
                threading.Thread(target=self._serve, name=self._name, daemon=True).start()
                self._serving = True
        return future

    async def run(
        self, function: Callable[..., Result], *args: object, grace_s: float = 0.0
    ) -> Result:
        """Queue a call and wait; a caller that is cancelled stops waiting, the call still runs.

        With ``grace_s`` a cancelled caller waits that long for the result, and then gets it.
        """
        done, token = anyio.Event(), current_token()

        def call() -> Result:
            try:
                return function(*args)
            finally:
                with suppress(anyio.RunFinishedError):
                    from_thread.run_sync(done.set, token=token)

        future = self.submit(call)
        try:
            await done.wait()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(grace_s, shield=True):
                await done.wait()
            if not grace_s or not done.is_set():
                raise  # else the caller learns what was done; its next await is cancelled
        return future.result()  # set by the thread's next instruction

    def _serve(self) -> None:
        while True:
            try:
                self._calls.get(timeout=_LINGER_S)()
            except Empty:
                with self._lock:
                    if self._calls.empty():
                        self._serving = False
                        return


async def abandonable(function: Callable[..., Result], *args: object) -> Result:
    """Call a function that may never return; a cancelled caller leaves it behind, as does the exit.

    anyio's own threads, abandoned or not, are joined at exit.
    """
    return await DaemonWorker(getattr(function, "__name__", "call")).run(function, *args)
