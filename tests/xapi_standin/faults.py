"""What a stand-in does wrong when asked to: calls fail or hang, exports and imports break."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum

from tests.xapi_standin.state import XapiError


class Export(StrEnum):
    """How /export behaves."""

    PLAIN = "plain"
    LENGTH = "length"  # with a Content-Length, which a real host does not send
    SLOW = "slow"
    STALLED = "stalled"  # stops in the middle and keeps the connection
    CUT = "cut"  # closes in the middle
    ERROR_INSIDE = "error-inside"  # an HTTP 500 page in the middle of the body
    ERROR_PAGE = "error-page"  # a 500 instead of an export


class Import(StrEnum):
    """How /import behaves."""

    PLAIN = "plain"
    SLOW = "slow"
    STALLED = "stalled"  # reads no more, keeps the connection
    CUT = "cut"  # the connection breaks; XAPI cleans up by itself
    RESTARTED = "restarted"  # the toolstack restarts: the connection breaks, all stays behind


@dataclass(slots=True, kw_only=True)
class Failure:
    """A method that fails; ``times`` None = always."""

    method: str
    description: tuple[str, ...] = ("INTERNAL_ERROR", "injected failure")
    times: int | None = None


@dataclass(slots=True, kw_only=True)
class Faults:
    """The knobs; change them while the stand-in runs."""

    failures: list[Failure] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)  # methods
    delays_s: dict[str, float] = field(default_factory=dict)  # by method
    export: Export = Export.PLAIN
    import_: Import = Import.PLAIN
    at_bytes: int = 1024 * 1024  # where exports and imports break
    bytes_per_s: int = 4 * 1024 * 1024  # of slow ones
    lax_import: bool = False  # as XAPI: done at the last chunk, the end is not read
    heeds_cancel: bool = True  # a start of a VM that was cancelled fails
    keeps_vms: bool = False  # cancelled exports do not end (an old toolstack)
    closing: threading.Event = field(default_factory=threading.Event)

    def fail(self, method: str, *description: str, times: int | None = None) -> None:
        """Let ``method`` fail."""
        words = description or ("INTERNAL_ERROR", "injected failure")
        self.failures.append(Failure(method=method, description=words, times=times))

    def heal(self) -> None:
        """Let everything work again; what hangs goes on hanging."""
        self.failures.clear()
        self.hanging.clear()
        self.delays_s.clear()
        self.export, self.import_ = Export.PLAIN, Import.PLAIN

    def meet(self, method: str) -> None:
        """Fail, hang or wait as this method should."""
        if method in self.hanging:
            self.closing.wait()
        if method in self.delays_s:
            self.closing.wait(self.delays_s[method])
        for failure in list(self.failures):
            if failure.method == method:
                if failure.times is not None:
                    failure.times -= 1
                    if failure.times <= 0:
                        self.failures.remove(failure)
                raise XapiError(*failure.description)
