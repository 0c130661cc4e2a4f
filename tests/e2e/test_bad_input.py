"""One clear message, a hint and the right exit code, before a build begins."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asyncpipe.cli import main
from asyncpipe.cli.main import COMMANDS
from asyncpipe.errors import UsageError
from tests.e2e.command import LIMIT_S, Desk, needs_packer
from tests.s3_standin.server import running_standin


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def write(desk: Desk, name: str, text: str) -> str:
    path = desk.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return name


def check(desk: Desk, code: int, said: str, *arguments: str) -> None:
    ended = desk.run("build", *arguments)
    assert ended.code == code, ended.all
    assert said in ended.err, ended.all
    assert "Traceback" not in ended.all
    assert not (desk.folder / "published/templates").exists()


def test_no_template_at_all(desk: Desk) -> None:
    check(desk, 2, "No template was named")


def test_a_template_that_is_not_there(desk: Desk) -> None:
    check(desk, 3, "nosuch", "templates/nosuch")


def test_a_folder_without_a_template(desk: Desk) -> None:
    (desk.folder / "templates/empty").mkdir()
    check(desk, 3, "templates/empty", "templates/empty")


def test_a_file_that_is_a_templates_text_and_no_template(desk: Desk) -> None:
    name = write(desk, "templates/x/preseed.pkrtpl.hcl", "d-i x")
    check(desk, 3, "pkrtpl", name)


def test_broken_hcl_is_told_with_file_and_line(desk: Desk) -> None:
    name = write(desk, "templates/x/x.pkr.hcl", 'source "null" "x" {\n  communicator = \n}\n')
    check(desk, 3, "x.pkr.hcl:", name)


@needs_packer
def test_a_variable_without_a_value(desk: Desk) -> None:
    text = 'variable "needed" {}\nsource "null" "x" {\n communicator = "none"\n}\n'
    name = write(desk, "templates/x/x.pkr.hcl", text + 'build {\n sources = ["null.x"]\n}\n')
    check(desk, 2, "no value for variable needed", name)


@needs_packer
def test_a_destination_that_cannot_be_written(desk: Desk) -> None:
    write(desk, "a-file", "in the way")
    ended = desk.run("build", "templates/demo", "--destination", "a-file/below")
    assert ended.code in {2, 40, 42}, ended.all
    assert "a-file" in ended.err
    assert "Traceback" not in ended.all


@needs_packer
def test_a_destination_of_no_known_kind(desk: Desk) -> None:
    check(desk, 2, "gopher", "templates/demo", "--destination", "gopher://x/y")


@needs_packer
def test_wrong_keys_are_refused_before_the_build(desk: Desk) -> None:
    with running_standin() as standin:
        desk.environment |= standin.environment | {"AWS_ACCESS_KEY_ID": "stranger"}
        check(desk, 42, "InvalidAccessKeyId", "templates/demo", "--destination", "s3://bucket/p")


@needs_packer
def test_a_missing_bucket_is_refused_before_the_build(desk: Desk) -> None:
    with running_standin() as standin:
        desk.environment |= standin.environment
        check(desk, 2, "nosuchbucket", "templates/demo", "--destination", "s3://nosuchbucket/p")


def test_no_packer_ends_at_once_with_the_command_that_installs_it(desk: Desk) -> None:
    tools = desk.folder / "tools"
    tools.mkdir()
    for name in ("git", "sh"):
        (tools / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    desk.environment["PATH"] = str(tools)
    check(desk, 2, "asyncpipe packer install", "templates/demo")


def test_a_packer_that_is_another_program(desk: Desk) -> None:
    fake = desk.folder / "packer"
    fake.write_text("#!/bin/sh\necho 0 0\n", encoding="utf-8")
    fake.chmod(0o755)
    check(desk, 2, "not HashiCorp Packer", "templates/demo", "--packer", str(fake))


def test_an_option_that_cannot_be_read(desk: Desk) -> None:
    check(desk, 2, "not a size", "templates/demo", "--part-size", "huge")


@needs_packer
@pytest.mark.parametrize("folder", ["a-file", "/proc/nosuch"])
def test_a_work_folder_that_cannot_be_made(desk: Desk, folder: str) -> None:
    write(desk, "a-file", "in the way")
    check(desk, 2, "--work-directory", "templates/demo", "--work-directory", folder)


def test_an_xva_is_not_published_from_a_work_folder_that_cannot_be_made(desk: Desk) -> None:
    write(desk, "a-file", "in the way")
    file = write(desk, "debian12.xva", "no XVA")
    ended = desk.run("publish", file, "--work-directory", "a-file")
    assert ended.code == 2, ended.all
    assert "cannot be made: Not a directory" in ended.err


def test_a_run_that_is_none_cannot_be_resumed(desk: Desk) -> None:
    check(desk, 2, "not the folder of a run", "--resume", "nosuch")


@needs_packer
def test_a_closed_output_is_no_defect_and_nothing_goes_into_another_file(desk: Desk) -> None:
    line = f"exec {shlex.quote(sys.executable)} -m asyncpipe build --dry-run templates/demo"
    closed = subprocess.run(
        ["sh", "-c", f"{line} <&- >&- 2>errors"],
        cwd=desk.folder,
        env=desk.environment,
        timeout=LIMIT_S,
        check=False,
    )
    assert (closed.returncode, (desk.folder / "errors").read_text()) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_takes_no_more_is_told_as_such(desk: Desk) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "asyncpipe", "list"],
            cwd=desk.folder,
            env=desk.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("asyncpipe: The output: No space left on device.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(desk: Desk, name: str) -> None:
    ended = desk.run(name, "--help")
    assert ended.code == 0, ended.all
    assert "Usage:" in ended.out


@needs_packer
def test_a_dry_run_shows_where_it_would_go_and_starts_nothing(desk: Desk) -> None:
    ended = desk.run("build", "templates/demo", "--dry-run", "--destination", "s3://bucket/p")
    assert ended.code == 0, ended.all
    assert "s3://bucket/p/templates/debian12-demo/" in ended.out
    assert not (desk.folder / ".asyncpipe").exists()


@pytest.mark.parametrize("error", [RuntimeError, UsageError])
def test_an_error_s_words_neither_act_on_the_terminal_nor_flood_it(
    error: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main._explain(error("a\x1b[2J\x1b]0;title\x07b\rc\u202e" + "x" * 1_000_000), "build")
    said = capsys.readouterr().err
    assert code == (1 if error is RuntimeError else 2)
    assert "ab cx" in said
    assert "\x1b" not in said
    assert len(said) < 10_000
