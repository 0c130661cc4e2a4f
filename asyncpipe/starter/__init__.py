"""The files that a repository starts with, and what a newer version would change in them."""

from asyncpipe.starter.files import CI_FILES, StarterFile, available, files_of
from asyncpipe.starter.lay import collisions, lay
from asyncpipe.starter.record import RECORD, Record, read_record, written_record
from asyncpipe.starter.update import Change, apply, changes

__all__ = [
    "CI_FILES",
    "RECORD",
    "Change",
    "Record",
    "StarterFile",
    "apply",
    "available",
    "changes",
    "collisions",
    "files_of",
    "lay",
    "read_record",
    "written_record",
]
