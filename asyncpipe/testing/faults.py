"""Knobs that make the in-memory store fail as real stores do."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import anyio.lowlevel

from asyncpipe.errors import TransientStoreError, UploadError


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call the store saw, in order of arrival."""

    operation: str
    key: str
    part_number: int | None = None


@dataclass(slots=True, kw_only=True)
class _Fault:
    operation: str
    part_number: int | None
    times: int
    error: UploadError | None = None
    after_commit: bool = False
    delay_s: float = 0.0
    corrupt: bool = False


class FaultyCalls:
    """Logs every call of a fake store and lets chosen ones fail, take long or store wrong bytes."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self.calls: list[Call] = []

    def fail(
        self,
        operation: str,
        error: UploadError,
        *,
        times: int = 1,
        part_number: int | None = None,
        after_commit: bool = False,
    ) -> None:
        """Let the next ``times`` calls of ``operation`` raise; ``after_commit``: having worked."""
        self._faults.append(
            _Fault(
                operation=operation,
                part_number=part_number,
                times=times,
                error=error,
                after_commit=after_commit,
            )
        )

    def delay(
        self, operation: str, seconds: float, *, times: int = 1, part_number: int | None = None
    ) -> None:
        """Let the next ``times`` calls of ``operation`` take ``seconds`` longer."""
        self._faults.append(
            _Fault(operation=operation, part_number=part_number, times=times, delay_s=seconds)
        )

    def corrupt_part(self, number: int, *, times: int = 1) -> None:
        """Store the part with its first byte flipped, behind the back of the part's checksum."""
        self._faults.append(
            _Fault(operation="upload_part", part_number=number, times=times, corrupt=True)
        )

    async def _meet(
        self, operation: str, key: str, part_number: int | None = None
    ) -> tuple[UploadError | None, bool]:
        """Log the call, apply its faults; returns (error to raise after commit, corrupt)."""
        self.calls.append(Call(operation=operation, key=key, part_number=part_number))
        await anyio.lowlevel.checkpoint()
        late: UploadError | None = None
        corrupt = False
        for fault in self._take(operation, part_number):
            if fault.delay_s:
                await anyio.sleep(fault.delay_s)
            corrupt = corrupt or fault.corrupt
            if fault.after_commit:
                late = fault.error
            elif fault.error is not None:
                raise fault.error
        return late, corrupt

    async def _meet_in_time(self, operation: str, key: str, timeout_s: float) -> UploadError | None:
        try:
            with anyio.fail_after(timeout_s):
                return (await self._meet(operation, key))[0]
        except TimeoutError as error:
            raise TransientStoreError(
                f"The store gave no answer within {timeout_s:g} s."
            ) from error

    def _take(self, operation: str, part_number: int | None) -> list[_Fault]:
        taken = [
            fault
            for fault in self._faults
            if fault.operation == operation and fault.part_number in {None, part_number}
        ]
        for fault in taken:
            fault.times -= 1
        self._faults = [fault for fault in self._faults if fault.times > 0]
        return taken
