"""Stores that lack a call, through the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.e2e.command import LIMIT_S, Desk
from tests.e2e.watching import until
from tests.s3_standin.profiles import PROFILES
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn


def test_where_parts_cannot_be_listed_a_resumed_publication_begins_anew(tmp_path: Path) -> None:
    lists_no_parts = replace(PROFILES["strict"], refused_operations={"ListParts": 405})
    with running_standin(profile=lists_no_parts) as standin:
        desk = Desk(tmp_path, environment=dict(standin.environment))
        (tmp_path / "disk.raw").write_bytes(bytes(range(256)) * (12 << 12))
        argv = ("xva", "create", "--name", "x", "--disk", "disk.raw", "-o", "debian-12.xva")
        assert desk.run(*argv).code == 0
        publish = ("publish", "debian-12.xva", "--destination", standin.destination)
        killed = desk.start(*publish, "--part-size=5MiB", "--bandwidth=2MiB", "--concurrency=1")
        until(lambda: [one for one in uploads(standin) if standin.parts(one)])
        killed.kill()
        killed.communicate(timeout=LIMIT_S)
        (left,) = uploads(standin)

        again = desk.run(*publish, "--resume")
        assert again.code == 0, again.all
        assert "Traceback" not in again.all
        assert any(key.endswith("/debian12.xva") for key in standin.objects())
        assert left not in uploads(standin)


def uploads(standin: StandIn) -> list[str]:
    """Open uploads of the image; the probe begins some too."""
    return [one.upload_id for one in standin.uploads() if one.key.endswith("debian12.xva")]


def test_lifecycle_rules_that_cannot_be_read_are_told_once(tmp_path: Path) -> None:
    no_rules = replace(
        PROFILES["strict"], refused_operations={"GetBucketLifecycleConfiguration": 501}
    )
    with running_standin(profile=no_rules) as standin:
        desk = Desk(tmp_path, environment=dict(standin.environment))
        reaped = desk.run("reap", "--destination", standin.destination)
    assert reaped.code == 0, reaped.all
    (line,) = [line for line in reaped.err.splitlines() if "lifecycle" in line]
    assert line.count("lifecycle rules") == line.count("cannot be read") == 1
