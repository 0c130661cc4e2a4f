"""Secrets out of text: the stream's redactor, and one call for a text that is whole."""

from __future__ import annotations

from asyncpipe.text.mask.stream import MASK, Redactor, text

__all__ = ["MASK", "Redactor", "text"]
