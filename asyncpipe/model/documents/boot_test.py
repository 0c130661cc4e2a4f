"""``boot_test`` of metadata.json, and of the file in which a run keeps what it has found."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from asyncpipe.model.documents.fields import Seconds, Short, Text


class BootCheck(Struct, frozen=True, kw_only=True):
    """One thing that was looked at in the started image."""

    name: Short
    outcome: Literal["passed", "failed", "not-run"]
    says: Text


class BootTest(Struct, frozen=True, kw_only=True):
    """The image was started once, as a clone would be, before anybody saw it.

    ``reason`` says why it failed; ``login_s`` is from power on to the first login.
    """

    passed: bool
    how: Short
    firmware: Short
    accelerated: bool
    reason: Short | None
    says: Text
    login_s: Seconds | None
    checks: Annotated[list[BootCheck], Meta(max_length=100)]
    check_output: Text = ""  # of a person's own script
