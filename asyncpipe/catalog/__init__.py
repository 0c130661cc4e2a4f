"""What is published at a destination: pointers, index, channels, fetching and removing versions.

A module is imported when one of its names is first used: `list` need not wait for what prunes.
"""

from typing import TYPE_CHECKING

from asyncpipe.system import loaded_on_use

if TYPE_CHECKING:
    from asyncpipe.catalog.comparing import Change, Difference, compare
    from asyncpipe.catalog.failures import FailedBuild, Failures, list_failures
    from asyncpipe.catalog.fetch.pull import Pulled, pull, require_image
    from asyncpipe.catalog.fetch.streaming import stream_xva
    from asyncpipe.catalog.index.change import change_index
    from asyncpipe.catalog.index.listing import Listing, list_versions
    from asyncpipe.catalog.index.pointer import move_pointer
    from asyncpipe.catalog.index.rebuild import rebuild_index
    from asyncpipe.catalog.place import Claimant, leave_place, look_at_place, take_place
    from asyncpipe.catalog.pruning import Pruning, plan_pruning, prune
    from asyncpipe.catalog.read import BAD, read_metadata
    from asyncpipe.catalog.releases.ancestry import revoked_ancestors
    from asyncpipe.catalog.releases.channels import (
        Channel,
        Channels,
        channels,
        set_channel,
        unset_channel,
    )
    from asyncpipe.catalog.releases.expiry import has_passed, set_end
    from asyncpipe.catalog.releases.history import History, Why, before, history, move_channel
    from asyncpipe.catalog.releases.naming import latest, names_of, resolve
    from asyncpipe.catalog.releases.repair import Repaired, repair
    from asyncpipe.catalog.releases.revocation import (
        repoint,
        revocation_of,
        revoke,
        revoked_folders,
    )
    from asyncpipe.catalog.releases.standing import (
        Standing,
        Standings,
        newest_good,
        standing_of,
        standings,
    )
    from asyncpipe.catalog.streams import write_streams
    from asyncpipe.model.documents.catalog import entry_of

__all__ = [
    "BAD",
    "Change",
    "Channel",
    "Channels",
    "Claimant",
    "Difference",
    "FailedBuild",
    "Failures",
    "History",
    "Listing",
    "Pruning",
    "Pulled",
    "Repaired",
    "Standing",
    "Standings",
    "Why",
    "before",
    "change_index",
    "channels",
    "compare",
    "entry_of",
    "has_passed",
    "history",
    "latest",
    "leave_place",
    "list_failures",
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
    "repair",
    "repoint",
    "require_image",
    "resolve",
    "revocation_of",
    "revoke",
    "revoked_ancestors",
    "revoked_folders",
    "set_channel",
    "set_end",
    "standing_of",
    "standings",
    "stream_xva",
    "take_place",
    "unset_channel",
    "write_streams",
]

_NAMES = {  # by the module that has them
    "asyncpipe.catalog.comparing": "Change Difference compare",
    "asyncpipe.catalog.failures": "FailedBuild Failures list_failures",
    "asyncpipe.catalog.fetch.pull": "Pulled pull require_image",
    "asyncpipe.catalog.fetch.streaming": "stream_xva",
    "asyncpipe.catalog.index.change": "change_index",
    "asyncpipe.catalog.index.listing": "Listing list_versions",
    "asyncpipe.catalog.index.pointer": "move_pointer",
    "asyncpipe.catalog.index.rebuild": "rebuild_index",
    "asyncpipe.catalog.place": "Claimant leave_place look_at_place take_place",
    "asyncpipe.catalog.pruning": "Pruning plan_pruning prune",
    "asyncpipe.catalog.read": "BAD read_metadata",
    "asyncpipe.catalog.releases.ancestry": "revoked_ancestors",
    "asyncpipe.catalog.releases.channels": "Channel Channels channels set_channel unset_channel",
    "asyncpipe.catalog.releases.expiry": "has_passed set_end",
    "asyncpipe.catalog.releases.history": "History Why before history move_channel",
    "asyncpipe.catalog.releases.naming": "latest names_of resolve",
    "asyncpipe.catalog.releases.repair": "Repaired repair",
    "asyncpipe.catalog.releases.revocation": "repoint revocation_of revoke revoked_folders",
    "asyncpipe.catalog.releases.standing": "Standing Standings newest_good standing_of standings",
    "asyncpipe.catalog.streams": "write_streams",
    "asyncpipe.model.documents.catalog": "entry_of",
}

__getattr__ = loaded_on_use(__name__, _NAMES)
