"""What is made at a host beside an import: where it goes, its disks, its network, its name."""

from __future__ import annotations
