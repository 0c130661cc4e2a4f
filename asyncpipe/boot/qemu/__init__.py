"""Machines in QEMU, on this machine."""

from __future__ import annotations
