"""Machines at the host that built the image, over XAPI."""

from __future__ import annotations
