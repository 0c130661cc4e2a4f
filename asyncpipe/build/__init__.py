"""BuildPlan -> BuildExit: starts Packer, passes every byte to the log, stops it when asked to."""

from asyncpipe.build.packer import DRAIN_S, Log, run
from asyncpipe.build.version import packer_version

__all__ = ["DRAIN_S", "Log", "packer_version", "run"]
