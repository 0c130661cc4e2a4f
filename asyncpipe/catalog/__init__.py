"""What is published at a destination: pointers, index, channels, fetching and removing versions."""

from asyncpipe.catalog.channels import Channel, channels, set_channel, unset_channel
from asyncpipe.catalog.entries import entry_of, to_json
from asyncpipe.catalog.listing import latest, list_versions, rebuild_index, resolve
from asyncpipe.catalog.pointer import move_pointer
from asyncpipe.catalog.prune import Pruning, plan_pruning, prune
from asyncpipe.catalog.pull import Pulled, pull

__all__ = [
    "Channel",
    "Pruning",
    "Pulled",
    "channels",
    "entry_of",
    "latest",
    "list_versions",
    "move_pointer",
    "plan_pruning",
    "prune",
    "pull",
    "rebuild_index",
    "resolve",
    "set_channel",
    "to_json",
    "unset_channel",
]
