"""The boot test: an image is started as a clone would be, and looked at from inside."""

from __future__ import annotations
