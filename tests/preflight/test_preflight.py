from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asyncpipe import preflight
from asyncpipe.errors import (
    AccessDeniedError,
    BucketMissingError,
    TemplateError,
)
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus, UrlSeen
from asyncpipe.model.identity import OsIdentity
from asyncpipe.preflight.iso import Checker, Fetched, Keys
from asyncpipe.testing.store import MemoryStore
from tests.metadata import documents as make
from tests.preflight.programs import Answer, Programs

pytestmark = pytest.mark.anyio
GIB = 1024**3
BROKEN = """\x1b[1;31mError: Unsupported attribute\x1b[0m

  on disk.pkr.hcl line 12, in source "xenserver-iso" "debian":
  (source code not available)

This object has no argument "foo"; the password is tops3cret.

Error: Second thing
"""


class _Mirror:
    def __init__(self, seen: UrlSeen) -> None:
        self.seen = seen
        self.asked: list[str] = []

    async def look(self, url: str) -> UrlSeen:
        self.asked.append(url)
        return self.seen

    async def fetch(self, url: str, *, max_bytes: int) -> Fetched:
        return Fetched(status=404)


def _plan(**changes: Any) -> BuildPlan:
    return replace(make.plan(), packer_arguments=("-var=a=b",), **changes)


async def _look(
    plan: BuildPlan | None = None, programs: Programs | None = None, **changes: Any
) -> dict[str, CheckResult]:
    plan = plan or _plan()
    inspection = preflight.Inspection(
        plans=[plan],
        runner=programs or Programs({"validate": Answer(), "plugins": Answer()}),
        **{
            "store": MemoryStore(),
            "free_bytes": 100 * GIB,
            "expected_bytes": {plan.unit: 20 * GIB},
            "today": "2026-11-23",
            **changes,
        },
    )
    return {result.name: result for result in await preflight.run(inspection)}


async def test_a_sound_template_passes_every_check() -> None:
    results = await _look()
    assert {name: result.status for name, result in results.items()} == {
        "disk": CheckStatus.OK,
        "destination": CheckStatus.OK,
        "validate": CheckStatus.OK,
    }
    assert preflight.exit_code_of(list(results.values())) == 0


async def test_packer_reads_the_template_with_the_variables_and_environment_of_the_build() -> None:
    programs = Programs({"validate": Answer()})
    await _look(_plan(packer_environment={"PKR_VAR_secret": "x"}), programs)
    command = programs.seen[0]
    assert command.argv[1:] == ("validate", "-var=a=b", "templates/debian/12")
    assert command.environment["PKR_VAR_secret"] == "x"
    assert command.cwd == Path("/srv/repository")


async def test_what_packer_refuses_is_told_with_its_place_and_without_secrets() -> None:
    results = await _look(
        None,
        Programs({"validate": Answer(BROKEN, 1)}),
        redact=lambda text: text.replace("tops3cret", "****"),
    )
    found = results["validate"]
    assert found.status is CheckStatus.FAIL
    assert found.message == "disk.pkr.hcl:12: Unsupported attribute (and 1 more)"
    assert (found.file, found.line, found.exit_code) == ("disk.pkr.hcl", 12, 3)


async def test_a_packer_that_cannot_be_started_fails_the_check() -> None:
    results = await _look(None, Programs({}))
    assert results["packer"].exit_code == 2


async def test_an_unset_variable_is_named_before_packer_is_asked() -> None:
    unset = replace(make.variable("password", None), is_set=False)
    programs = Programs({})
    results = await _look(_plan(template=make.template(unset)), programs)
    assert "password" in results["variables"].message
    assert "PKR_VAR_password" in results["variables"].hint
    assert results["variables"].exit_code == 2
    assert programs.seen == []


PLUGIN = "/p/github.com/vatesfr/xenserver/packer-plugin-xenserver_v{version}_x5.0_linux_amd64"
NEEDS_PLUGIN = replace(
    make.template(), required_plugins={"github.com/vatesfr/xenserver": "~> 0.11"}
)


@pytest.mark.parametrize(
    ("installed", "status"),
    [
        (PLUGIN.format(version="0.11.4"), "ok"),
        (PLUGIN.format(version="0.8.1"), "fail"),  # another version than the template's
        ("", "fail"),
    ],
)
async def test_required_plugins_are_looked_for(installed: str, status: str) -> None:
    programs = Programs({"plugins": Answer(installed), "validate": Answer()})
    plugins = (await _look(_plan(template=NEEDS_PLUGIN), programs))["plugins"]
    assert plugins.status.value == status
    if status == "fail":
        assert "github.com/vatesfr/xenserver ~> 0.11" in plugins.message
        assert "init templates/debian/12" in plugins.hint


async def test_missing_plugins_are_installed_where_that_is_allowed() -> None:
    programs = Programs({"plugins": Answer(), "init": Answer(), "validate": Answer()})
    results = await _look(_plan(template=NEEDS_PLUGIN), programs, install_plugins=True)
    assert results["plugins"].status is CheckStatus.OK
    assert [command.argv[1] for command in programs.seen] == ["plugins", "init", "validate"]


async def test_plugins_that_cannot_be_installed_are_named_with_version_and_folder() -> None:
    offline = (
        'Failed getting the "github.com/vatesfr/xenserver" plugin:\n1 error occurred:\n'
        '\t* Get "https://api.github.com/x": dial tcp: no such host\n'
    )
    programs = Programs({"plugins": Answer(), "init": Answer(offline, 1), "validate": Answer()})
    plan = _plan(template=NEEDS_PLUGIN, packer_environment={"HOME": "/home/me"})
    plugins = (await _look(plan, programs, install_plugins=True))["plugins"]
    assert plugins.status is CheckStatus.FAIL
    assert plugins.exit_code == 2
    assert "github.com/vatesfr/xenserver ~> 0.11" in plugins.message
    assert "no such host" in plugins.message
    assert "/home/me/.config/packer/plugins" in plugins.hint


async def test_all_that_packer_says_of_a_template_is_shown() -> None:
    results = await _look(
        None,
        Programs({"validate": Answer(BROKEN, 1)}),
        redact=lambda text: text.replace("tops3cret", "****"),
    )
    shown = preflight.render(list(results.values()))
    assert 'This object has no argument "foo"; the password is ****.' in shown
    assert "Error: Second thing" in shown
    assert "\x1b" not in shown


async def test_the_disk_must_hold_what_is_built_at_once() -> None:
    sizes = {"a": 30 * GIB, "b": 30 * GIB, "c": None}
    roomy = await _look(expected_bytes=sizes, free_bytes=40 * GIB, at_once=1)
    tight = await _look(expected_bytes=sizes, free_bytes=40 * GIB, at_once=2)
    assert roomy["disk"].status is CheckStatus.OK
    assert tight["disk"].status is CheckStatus.FAIL
    assert tight["disk"].exit_code == 2
    assert "60.0 GiB" in tight["disk"].message


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(AccessDeniedError("wrong keys"), 42), (BucketMissingError("no bucket"), 2)],
)
async def test_a_destination_that_cannot_be_written_fails_with_its_own_code(
    error: Any, exit_code: int
) -> None:
    store = MemoryStore()
    store.fail("probe", error)
    results = await _look(store=store)
    assert results["destination"].status is CheckStatus.FAIL
    assert results["destination"].exit_code == exit_code


@pytest.mark.parametrize(
    ("seen", "exit_code"),
    [
        (UrlSeen(status=200, size_bytes=GIB), 61),  # its list is gone
        (UrlSeen(status=404), 61),
        (UrlSeen(status=503), 64),
        (UrlSeen(status=0, problem="no route"), 64),
    ],
)
async def test_the_medium_is_looked_at_when_asked(seen: UrlSeen, exit_code: int) -> None:
    mirror, plan = _Mirror(seen), _plan()
    (source,) = plan.template.sources
    source = replace(source, attributes={**source.attributes, "iso_checksum": "none"})
    plan = replace(plan, template=replace(plan.template, sources=(source,)))
    results = await _look(plan, media=Checker(mirror, Programs({}), Keys(gpgv=None)))
    assert results["iso"].exit_code == exit_code
    assert results["iso"].status.value == "fail"
    assert len(mirror.asked) == 1
    assert "hunter2" not in results["iso"].message


async def test_a_system_past_its_end_of_life_is_told() -> None:
    old = OsIdentity(os_type="debian", os_version="10", end_of_life="2024-06-30")
    results = await _look(_plan(static_identity=old))
    assert results["end-of-life"].status is CheckStatus.WARN
    assert preflight.exit_code_of(list(results.values())) == 0


def test_the_exit_code_is_that_of_the_first_failure() -> None:
    first = preflight.failure("template", TemplateError("broken", file="x.pkr.hcl", line=3))
    second = preflight.failure("destination", AccessDeniedError("no"))
    fine = CheckResult(name="disk", status=CheckStatus.OK, message="fine")
    assert preflight.exit_code_of([fine, first, second]) == 3
    text = preflight.render([fine, first, second])
    assert "3 checks: 2 failed, 0 to look at" in text


SHELL_LOCAL = (
    'build {\n  provisioner "shell-local" {\n    scripts = ["${path.root}/a.sh"]\n%s  }\n}\n'
)


@pytest.mark.parametrize(
    ("folder", "more", "is_warned"),
    [
        ("actions runner", "", True),
        ("My\tProjects", "", True),
        ("runner", "", False),
        ("actions runner", '    execute_command = ["sh", "-c", "\'{{.Script}}\'"]\n', False),
    ],
)
async def test_a_blank_in_the_path_of_a_script_is_named_before_packer_trips_over_it(
    tmp_path: Path, folder: str, more: str, is_warned: bool
) -> None:
    file = tmp_path / folder / "a.pkr.hcl"
    file.parent.mkdir()
    file.write_text(SHELL_LOCAL % more)
    template = replace(make.plan().template, folder=file.parent, files=(file,))
    found = await _look(_plan(template=template))
    assert ("paths" in found) is is_warned
    if is_warned:
        assert found["paths"].status is CheckStatus.WARN
        assert folder in found["paths"].message
