"""What is published at a destination: pointers, index, channels, fetching and removing versions."""

from asyncpipe.catalog.channels import Channel, Channels, channels, set_channel, unset_channel
from asyncpipe.catalog.compare import Change, Difference, compare
from asyncpipe.catalog.history import History, Why, before, history, move_channel
from asyncpipe.catalog.listing import Listing, latest, list_versions, rebuild_index, resolve
from asyncpipe.catalog.naming import names_of
from asyncpipe.catalog.place import Claimant, leave_place, look_at_place, take_place
from asyncpipe.catalog.pointer import move_pointer
from asyncpipe.catalog.prune import Pruning, plan_pruning, prune
from asyncpipe.catalog.pull import Pulled, pull
from asyncpipe.catalog.read import BAD, read_metadata
from asyncpipe.catalog.revocation import (
    newest_good,
    repoint,
    revocation_of,
    revoke,
    revoked_folders,
)
from asyncpipe.catalog.streaming import stream_xva
from asyncpipe.model.documents.catalog import entry_of

__all__ = [
    "BAD",
    "Change",
    "Channel",
    "Channels",
    "Claimant",
    "Difference",
    "History",
    "Listing",
    "Pruning",
    "Pulled",
    "Why",
    "before",
    "channels",
    "compare",
    "entry_of",
    "history",
    "latest",
    "leave_place",
    "list_versions",
    "look_at_place",
    "move_channel",
    "move_pointer",
    "names_of",
    "newest_good",
    "plan_pruning",
    "prune",
    "pull",
    "read_metadata",
    "rebuild_index",
    "repoint",
    "resolve",
    "revocation_of",
    "revoke",
    "revoked_folders",
    "set_channel",
    "stream_xva",
    "take_place",
    "unset_channel",
]
