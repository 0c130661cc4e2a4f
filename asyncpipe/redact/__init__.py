"""Secrets -> ``****``: pure, streaming, in bounded memory."""

from asyncpipe.redact.secrets import NO_SECRETS, Secrets, secrets_of
from asyncpipe.redact.stream import MASK, Redactor, text

__all__ = ["MASK", "NO_SECRETS", "Redactor", "Secrets", "secrets_of", "text"]
