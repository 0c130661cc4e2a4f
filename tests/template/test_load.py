"""Reading templates as Packer does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncpipe import template
from asyncpipe.errors import TemplateError
from asyncpipe.model.template import UNKNOWN, Template
from asyncpipe.template.files import MAX_HCL_BYTES

MINIMAL = """
variable "x" { default = "default" }
source "null" "a" { text = var.x }
build { sources = ["source.null.a"] }
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def text_of(loaded: Template) -> object:
    return loaded.sources[0].attributes["text"]


def test_the_precedence_of_values_is_packers(tmp_path: Path) -> None:
    write(tmp_path, a__pkr__hcl=MINIMAL)
    environment = {"PKR_VAR_x": "environment"}
    file = tmp_path / "site.pkrvars.hcl"
    file.write_text('x = "var-file"')

    assert text_of(template.load(tmp_path)) == "default"
    assert text_of(template.load(tmp_path, environment=environment)) == "environment"
    write(tmp_path, b__auto__pkrvars__hcl='x = "auto"')
    assert text_of(template.load(tmp_path, environment=environment)) == "auto"
    write(tmp_path, c__auto__pkrvars__json='{"x": "auto json"}')
    assert text_of(template.load(tmp_path)) == "auto json"
    assert text_of(template.load(tmp_path, var_files=[file])) == "var-file"
    given = template.load(tmp_path, var_files=[file], variables={"x": "-var"})
    assert text_of(given) == "-var"
    assert given.variables["x"].origin == "-var"
    assert text_of(template.load(tmp_path / "a.pkr.hcl")) == "default"  # a file alone: no autos


def test_values_given_as_text_follow_the_type(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__pkr__hcl="""
        variable "n" { type = number }
        variable "b" { type = bool }
        variable "l" { type = list(string) }
        variable "s" { type = string }
        variable "bad" { type = list(string) }
        """,
    )
    loaded = template.load(
        tmp_path,
        environment={"PKR_VAR_l": '["a", "b"]', "PKR_VAR_bad": "["},
        variables={"n": "3", "b": "true", "s": "[1]"},
    )
    assert {name: one.value for name, one in loaded.variables.items()} == {
        "n": 3,
        "b": True,
        "l": ["a", "b"],
        "s": "[1]",
        "bad": UNKNOWN,
    }


def test_a_variable_without_a_value_is_no_error_here(tmp_path: Path) -> None:
    write(tmp_path, a__pkr__hcl='variable "x" { sensitive = true }')
    found = template.load(tmp_path).variables["x"]
    assert (found.is_set, found.sensitive, found.location.line) == (False, True, 1)


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("a.pkr.hcl", 'variable "x" {\n  default = \n}', 2, "not valid HCL"),
        ("a.pkr.hcl", "build {\n", 2, "not valid HCL"),
        ("a.pkr.json", '{\n "build": }', 2, "not valid JSON"),
        ("a.pkr.json", "[]", None, "not an object"),
        ("a.json", "{}", None, "builders"),
        ("a.pkr.hcl", "a = " + "[" * 500 + "]" * 500, None, "too deep"),
        ("a.pkr.hcl", "#" * (MAX_HCL_BYTES + 1), None, "larger than"),
        ("user-data.pkrtpl.hcl", "x", None, "not a template"),
        ("a.pkrvars.hcl", "x = 1", None, "not a template"),
        ("a.txt", "x", None, "named"),
    ],
)
def test_what_cannot_be_read_is_told_with_file_and_line(
    tmp_path: Path, name: str, text: str, line: int | None, says: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(TemplateError, match=says) as caught:
        template.load(path)
    assert (caught.value.file, caught.value.line) == (str(path), line)
    assert caught.value.exit_code == 3


def test_a_missing_path_and_a_folder_without_a_template_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no", tmp_path / "no.pkr.hcl", Path("\0")):
        with pytest.raises(TemplateError):
            template.load(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkr.hcl").write_bytes(b"x = 1\n\xff\xfe")
    with pytest.raises(TemplateError) as caught:
        template.load(tmp_path)
    assert caught.value.line == 2


def test_ten_megabytes_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.pkr.hcl").write_text('locals { a = "x" }\n' * 550_000)
    with pytest.raises(TemplateError, match="larger than"):
        template.load(tmp_path)


def test_only_and_except_are_packers_globs(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__pkr__hcl="""
        source "null" "one" {}
        source "null" "two" {}
        build { sources = ["null.one", "sources.null.two"] }
        build {
          name    = "named"
          sources = [source.null.one]
        }
        """,
    )

    def names(*, only: list[str] | None = None, except_: list[str] | None = None) -> list[str]:
        loaded = template.load(tmp_path, only=only or [], except_=except_ or [])
        return [source.full_name for source in loaded.sources]

    assert names() == ["null.one", "null.two", "named.null.one"]
    assert names(only=["*.one"]) == ["null.one", "named.null.one"]
    assert names(only=["null.one"]) == ["null.one"]
    assert names(only=["named.*,null.tw?"]) == ["null.two", "named.null.one"]
    assert names(except_=["null.[!t]*"]) == ["null.two", "named.null.one"]
    assert names(only=["nothing"]) == []


def test_a_file_with_plugins_only_has_no_source(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__pkr__hcl="""
        packer {
          required_plugins {
            xenserver = { source = "github.com/vatesfr/xenserver", version = ">= 0.7.3" }
          }
        }
        """,
    )
    loaded = template.load(tmp_path)
    assert loaded.sources == ()
    assert loaded.required_plugins == {"github.com/vatesfr/xenserver": ">= 0.7.3"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a__pkr__hcl", 'packer { required_version = ">= 1.7" }'),
        ("a__pkr__json", '{"packer": {"required_version": ">= 1.7"}}'),
        ("a__json", '{"min_packer_version": "1.7", "builders": []}'),
    ],
)
def test_what_is_asked_of_packer_itself_is_known(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, **{name: text})
    loaded = template.load(next(tmp_path.iterdir()))
    assert loaded.required_versions == (">= 1.7",)


def test_undeclared_variables_and_sources_are_warned_of(tmp_path: Path) -> None:
    write(tmp_path, a__pkr__hcl='build { sources = ["source.null.gone"] }')
    loaded = template.load(tmp_path, variables={"y": "1"})
    assert any("'y'" in warning for warning in loaded.warnings)
    assert any("null.gone" in warning for warning in loaded.warnings)


def test_inner_blocks_are_lists_with_locations(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__pkr__hcl='source "x" "y" {\n  boot_iso {\n    iso_url = "u"\n  }\n}\n'
        'build { sources = ["x.y"] }',
    )
    source = template.load(tmp_path).sources[0]
    assert source.attributes["boot_iso"] == [{"iso_url": "u"}]
    assert source.locations["boot_iso.iso_url"].line == 3


def test_the_digest_changes_with_any_file_and_not_with_the_folder(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        write(folder, a__pkr__hcl=MINIMAL)
    assert template.load(one).sha256_hex == template.load(two).sha256_hex
    write(two, b__auto__pkrvars__hcl='x = "y"')
    assert template.load(one).sha256_hex != template.load(two).sha256_hex


def test_legacy_templates_resolve_user_variables(tmp_path: Path) -> None:
    builder = {
        "type": "qemu",
        "iso_url": "http://x/{{user `a`}}-{{ upper (user `b`) }}",
        "later": "{{isotime}} {{ .Name }}",
        "unknown": "{{user `c`}}",
    }
    variables = {"a": "{{env `E`}}", "b": "b", "c": None}
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"variables": variables, "builders": [builder]}))
    loaded = template.load(path, environment={"E": "env"}, variables={"b": "given"})
    assert loaded.kind == "json"
    assert loaded.sources[0].name == "qemu"
    assert loaded.sources[0].attributes == {
        "type": "qemu",
        "iso_url": "http://x/env-GIVEN",
        "later": "{{isotime}} {{ .Name }}",
        "unknown": UNKNOWN,
    }
    assert not loaded.variables["c"].is_set


def test_partial_texts_keep_what_is_known(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__pkr__hcl="""
        variable "mirror" {}
        source "x" "y" { iso_url = "${var.mirror}/debian-12.9.0-amd64-netinst.iso" }
        build { sources = ["x.y"] }
        """,
    )
    source = template.load(tmp_path).sources[0]
    assert source.attributes["iso_url"] is UNKNOWN
    assert source.partial_texts["iso_url"].endswith("/debian-12.9.0-amd64-netinst.iso")


_pieces = st.sampled_from(
    """variable "x" {|locals {|source "a" "b" {|build {|}|default = |"${var.x}"|a = |[|]|(|?|1|"|#
|for k, v in | : |...|${|<<EOF\n|EOF\n|\n|var.x|local.a|%{ if true }|sources = |["source.a.b"]
|/*""".split("|")  # noqa: SIM905 -- pieces of quotes and brackets read better unquoted
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.one_of(st.text(max_size=200), st.lists(_pieces, max_size=25).map(" ".join)))
@pytest.mark.parametrize("name", ["a.pkr.hcl", "a.pkr.json", "a.json"])
def test_no_text_does_anything_but_load_or_be_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        loaded: Template | None = template.load(path)
    except TemplateError:
        loaded = None
    assert loaded is None or loaded.files == (path,)


def test_what_people_write_in_many_alphabets_and_lengths_is_read(tmp_path: Path) -> None:
    plus = " + ".join(["1"] * 3000)
    both = " && ".join(["true"] * 3000)
    named = f"größe = {plus}\n  alle = {both}\n  両方 = local.größe == 3000 && local.alle"
    text = f"locals {{\n  {named}\n}}\n"
    (tmp_path / "a.pkr.hcl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = template.load(tmp_path).locals
    assert (found["größe"], found["両方"]) == (3000, True)


def test_every_automatic_var_file_of_hcl_comes_before_every_one_of_json(tmp_path: Path) -> None:
    write(tmp_path, a__pkr__hcl=MINIMAL)
    (tmp_path / "z.auto.pkrvars.hcl").write_text('x = "hcl"')
    (tmp_path / ".hidden.auto.pkrvars.hcl").write_text('x = "hidden"')
    assert text_of(template.load(tmp_path)) == "hcl"
    (tmp_path / "a.auto.pkrvars.json").write_text('{"x": "${literal} json"}')
    assert text_of(template.load(tmp_path)) == "${literal} json"


def test_a_message_about_a_link_shows_nothing_of_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root:$6$hash:19000:0\n")
    folder = tmp_path / "t"
    folder.mkdir()
    write(folder, a__pkr__hcl=MINIMAL)
    (folder / "z.auto.pkrvars.hcl").symlink_to(tmp_path / "secret")
    with pytest.raises(TemplateError) as caught:
        template.load(folder)
    assert "hash" not in str(caught.value)


def test_a_large_template_is_read(tmp_path: Path) -> None:
    block = 'source "null" "s%d" {\n  a = [1, 2, "x-${1 + %d}"]\n  b = { c = true }\n}\n'
    text = "".join(block % (i, i) for i in range(3000))
    assert 200_000 < len(text) < MAX_HCL_BYTES
    (tmp_path / "a.pkr.hcl").write_text(text)
    assert len(template.load(tmp_path).sources) == 3000
