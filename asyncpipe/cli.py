"""The composition root (grows with the pipeline)."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
