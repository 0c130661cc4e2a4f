"""Names a person types -> the builds of a run: found, named, told apart, left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asyncpipe.errors import TemplateError, UsageError
from asyncpipe.run.units.collisions import refuse_shared_places
from asyncpipe.run.units.discover import discover
from asyncpipe.run.units.load import Unit, load_units
from asyncpipe.settings import Settings

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a template of Debian 12 with further locals."""

    def write(name: str, *locals_: str, rest: str = "", sources: tuple[str, ...] = ("x",)) -> None:
        path = tmp_path / name / "x.pkr.hcl"
        path.parent.mkdir(parents=True)
        lines = "\n".join(('os_name = "debian"', 'os_version = "12"', *locals_))
        blocks = "\n".join(
            f'source "null" "{source}" {{\n  communicator = "none"\n}}' for source in sources
        )
        used = ", ".join(f'"source.null.{source}"' for source in sources)
        text = f"locals {{\n{lines}\n}}\n{rest}\n{blocks}\nbuild {{\n  sources = [{used}]\n}}\n"
        path.write_text(text, "utf-8")

    return write


def units(
    root: Path, *templates: str, said: list[str] | None = None, **options: object
) -> list[Unit]:
    settings = Settings.of({"templates": templates, **options}, environment={})
    found = [root / path for path in discover(templates, root)]
    relative = [path.relative_to(root) for path in found]
    say = said.append if said is not None else (lambda _sentence: None)
    return load_units(settings, relative, root, say=say)


@pytest.fixture(autouse=True)
def in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_folders_files_and_globs_become_templates_each_once(tmp_path: Path) -> None:
    for name in ("debian/12/debian.pkr.hcl", "debian/13/d.pkr.hcl", "single.pkr.hcl", "x/a.txt"):
        path = tmp_path / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = discover(["templates/debian", "templates/debian/12", "templates/*.pkr.hcl"], tmp_path)
    assert [str(path) for path in found] == [
        "templates/debian/12",
        "templates/debian/13",
        "templates/single.pkr.hcl",
    ]


@pytest.mark.parametrize("name", ["nosuch", "nosuch/*.pkr.hcl"])
def test_a_name_that_matches_nothing_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(TemplateError, match="no such template"):
        discover([name], tmp_path)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_does_not_mean_everything_below(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.pkr.hcl").touch()
    with pytest.raises(UsageError, match="empty"):
        discover([name], tmp_path)


def test_a_local_or_a_variable_declares_the_variant(tmp_path: Path, write: Write) -> None:
    write("a", 'variant = "web"')
    write("b", rest='variable "variant" {\n  default = "db"\n}')
    write("c")
    write("d", 'variant = ""')
    assert [one.place for one in units(tmp_path, "a", "b", "c")] == [
        "debian12-web",
        "debian12-db",
        "debian12",
    ]
    assert [one.place for one in units(tmp_path, "d")] == ["debian12"]


def test_a_variant_on_the_command_line_wins_and_reaches_a_templates_own_variable(
    tmp_path: Path, write: Write
) -> None:
    write("a", 'variant = "web"')
    write("b", 'vm_name = "x-${var.variant}"', rest='variable "variant" {\n  default = ""\n}')
    first, second = units(tmp_path, "a", "b", variant="db")
    assert (first.place, second.place) == ("debian12-db", "debian12-db")
    assert second.template.locals["vm_name"] == "x-db"
    assert units(tmp_path, "a", variant="")[0].place == "debian12"


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ('"Web Server"', "at most 40 of a-z"),
        ('"../x"', "at most 40 of a-z"),
        ('"web-"', "at most 40 of a-z"),
        (f'"{"x" * 41}"', "at most 40 of a-z"),
        ("12", "at most 40 of a-z"),
        ("data.null.x.y", "is not known before the build"),
    ],
)
def test_a_variant_that_cannot_be_part_of_a_name_is_refused_where_it_stands(
    tmp_path: Path, write: Write, declared: str, why: str
) -> None:
    write("a", f"variant = {declared}")
    with pytest.raises(TemplateError, match=why) as caught:
        units(tmp_path, "a")
    assert caught.value.file == "a/x.pkr.hcl"
    assert caught.value.line == 4
    assert units(tmp_path, "a", variant="web")[0].place == "debian12-web"


def test_a_sensitive_variant_never_becomes_a_public_name(tmp_path: Path, write: Write) -> None:
    write("a", rest='variable "variant" {\n  default = "hunter2"\n  sensitive = true\n}')
    with pytest.raises(TemplateError, match="is sensitive") as caught:
        units(tmp_path, "a")
    assert "hunter2" not in caught.value.message


def test_two_templates_for_one_place_are_named_with_the_way_out(
    tmp_path: Path, write: Write
) -> None:
    write("web/debian-12")
    write("db/debian-12")
    both = units(tmp_path, "web", "db")
    with pytest.raises(UsageError) as caught:
        refuse_shared_places(both)
    expected = "web/debian-12 and db/debian-12 would both publish to templates/debian12."
    assert caught.value.message == expected
    assert "--variant" in caught.value.hint


def test_two_builds_of_one_template_for_one_place_are_told_apart(
    tmp_path: Path, write: Write
) -> None:
    write("a", sources=("bios", "uefi"))
    with pytest.raises(UsageError, match=r"^a \(null.bios\) and a \(null.uefi\) would both"):
        refuse_shared_places(units(tmp_path, "a"))


def test_variants_do_not_collide(tmp_path: Path, write: Write) -> None:
    write("web/debian-12", 'variant = "web"')
    write("db/debian-12", 'variant = "db"')
    refuse_shared_places(units(tmp_path, "web", "db"))


@pytest.mark.parametrize("mark", ["false", '"false"'])
def test_what_is_not_for_production_is_left_out_of_folders_and_globs(
    tmp_path: Path, write: Write, mark: str
) -> None:
    write("t/real")
    write("t/demo", f"production = {mark}")
    for names in (("t",), ("t/*",), ("t/*/*.pkr.hcl",)):
        said: list[str] = []
        assert [str(one.template.folder) for one in units(tmp_path, *names, said=said)] == [
            "t/real"
        ]
        assert said[0].startswith("Left out, not for production: t/demo")


def test_what_is_not_for_production_is_built_when_it_is_named(tmp_path: Path, write: Write) -> None:
    write("t/real")
    write("t/demo", "production = false")
    said: list[str] = []
    for names in (("t", "t/demo"), ("t/demo", "t/real"), ("t/real", "t/demo/x.pkr.hcl")):
        assert len(units(tmp_path, *names, said=said)) == 2, names
    assert [one.name for one in units(tmp_path, "t", only=("t-demo",), said=said)] == ["t-demo"]
    assert said == []


def test_a_folder_in_which_nothing_is_for_production_is_an_error(
    tmp_path: Path, write: Write
) -> None:
    write("t/demo", "production = false")
    with pytest.raises(UsageError, match="No template is left") as caught:
        units(tmp_path, "t")
    assert "t/demo" in caught.value.hint


def test_a_template_that_says_it_is_for_production_is(tmp_path: Path, write: Write) -> None:
    write("t/real", "production = true")
    write("t/odd", 'production = "perhaps"')
    assert len(units(tmp_path, "t")) == 2
