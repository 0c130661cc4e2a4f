"""Evidence -> OsIdentity: which operating system a template makes, and why we think so."""

from asyncpipe.detect.decide import determine_os_info
from asyncpipe.detect.end_of_life import end_of_life_warning

__all__ = ["determine_os_info", "end_of_life_warning"]
