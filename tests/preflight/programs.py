"""A ProcessRunner that answers commands from a table; nothing is started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from asyncpipe.errors import UsageError
from asyncpipe.ports import Command, RunningProcess


@dataclass
class Answer:
    text: str = ""
    return_code: int = 0
    hangs: bool = False


@dataclass
class Programs:
    """``answers`` by a word that occurs in argv; a program without an answer cannot be started."""

    answers: dict[str, Answer]
    seen: list[Command] = field(default_factory=list)
    left: int = 0

    @asynccontextmanager
    async def start(self, command: Command) -> AsyncIterator[RunningProcess]:
        self.seen.append(command)
        answer = next((a for word, a in self.answers.items() if word in command.argv), None)
        if answer is None:
            raise UsageError(f"{command.argv[0]} cannot be started.")
        try:
            yield _Running(answer)
        finally:
            self.left += 1


class _Running:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._rest = answer.text.encode()

    @property
    def pid(self) -> int:
        return 4711

    @property
    def return_code(self) -> int | None:
        return None if self._answer.hangs else self._answer.return_code

    async def receive(self) -> bytes:
        if self._answer.hangs and not self._rest:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        piece, self._rest = self._rest[:7], self._rest[7:]
        return piece

    async def wait(self) -> int:
        return self._answer.return_code

    def terminate(self) -> None: ...

    def kill_group(self) -> None: ...

    def cut_writes(self, folder: Path) -> bool:
        return False

    def group_alive(self) -> bool:
        return self._answer.hangs
