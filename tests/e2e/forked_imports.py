"""Imports what commands import, and lets python-hcl2 build its grammar once."""

from __future__ import annotations

import importlib
import pkgutil

import hcl2

import asyncpipe

_LEFT_OUT = ("asyncpipe.testing", "asyncpipe.__main__")

for found in pkgutil.walk_packages(asyncpipe.__path__, "asyncpipe."):
    if not found.name.startswith(_LEFT_OUT):
        importlib.import_module(found.name)

hcl2.parses_to_tree("a = 1\n")
