"""--only and --except: one meaning each, and never silently nothing."""

from __future__ import annotations

import pytest

from asyncpipe.errors import UsageError
from asyncpipe.run.selection import chosen

BUILDS = {
    "p1-debian12-server": "base.null.debian12-server",
    "p1-debian12": "base.file.debian12",
    "rocky-9": "xenserver-iso.rocky",
    "legacy": "",
}


@pytest.mark.parametrize(
    ("only", "except_", "left"),
    [
        ((), (), set(BUILDS)),
        (("p1-*",), (), {"p1-debian12-server", "p1-debian12"}),
        (("base.null.*",), (), {"p1-debian12-server"}),
        (("rocky-9,legacy",), (), {"rocky-9", "legacy"}),
        (("rocky-9", "base.file.debian12"), (), {"rocky-9", "p1-debian12"}),
        ((), ("*.rocky", "legacy"), {"p1-debian12-server", "p1-debian12"}),
        (("p1-*",), ("*-server",), {"p1-debian12"}),
    ],
)
def test_a_build_is_chosen_by_our_name_or_by_that_of_packer(
    only: tuple[str, ...], except_: tuple[str, ...], left: set[str]
) -> None:
    assert chosen(BUILDS, only, except_) == left


@pytest.mark.parametrize(
    ("only", "except_", "message"),
    [
        (("null",), (), "--only null matches no build"),
        (("rocky-9", "debain"), (), "--only debain matches no build"),
        ((), ("base.nul.*",), r"--except base.nul.\* matches no build"),
        (("rocky-9",), ("rocky-9",), "leave no build"),
    ],
)
def test_what_matches_nothing_is_refused_with_the_builds_that_exist(
    only: tuple[str, ...], except_: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        chosen(BUILDS, only, except_)
    assert "p1-debian12-server (base.null.debian12-server)" in caught.value.hint
    assert caught.value.exit_code == 2
