"""All kinds of secrets that show without their value being known."""

from __future__ import annotations

from typing import Final

from asyncpipe.text.secrets.contexts import contexts
from asyncpipe.text.secrets.kind import Kind
from asyncpipe.text.secrets.tokens import tokens

KINDS: Final[tuple[Kind, ...]] = (*tokens(), *contexts())
