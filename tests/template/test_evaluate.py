"""Expressions of HCL: values, functions, the unknown, and the bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncpipe import template
from asyncpipe.model.template import UNKNOWN, Value

KNOWN = """
variable "m" { default = { k = "v", "d-e" = 2 } }
variable "l" { default = ["a", "b", "c"] }
variable "o" { default = [{ n = "x" }, { n = "y" }] }
variable "unset" {}
"""


def evaluate(folder: Path, *expressions: str) -> list[Value]:
    names = [f"r{i}" for i in range(len(expressions))]
    lines = [f"  {name} = {text}" for name, text in zip(names, expressions, strict=True)]
    (folder / "a.pkr.hcl").write_text(KNOWN + "locals {\n" + "\n".join(lines) + "\n}\n")
    found = template.load(folder).locals
    return [found[name] for name in names]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"${var.m["k"]}-${var.m.k}"', "v-v"),
        ('"${var.l[1]}"', "b"),
        ("var.l[*]", ["a", "b", "c"]),
        ("var.o[*].n", ["x", "y"]),
        ("var.o.*.n", ["x", "y"]),
        ("[for i, v in var.l : format(\"%s%02d\", v, i) if v != \"b\"]", ["a00", "c02"]),
        ("{for k, v in var.m : upper(k) => v}", {"K": "v", "D-E": 2}),
        (
            '{for v in [1, 2, 3] : v % 2 == 0 ? "even" : "odd" => v...}',
            {"odd": [1, 3], "even": [2]},
        ),
        ('var.m.k == "v" && !false ? "yes" : "no"', "yes"),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("-(2)", -2),
        ('join("-", split(".", "12.9.0"))', "12-9-0"),
        ('element(split(".", "12.9.0"), 0)', "12"),
        ('replace("a.b", ".", "")', "ab"),
        ('replace("debian-12", "/([a-z]+)-/", "$1_")', "debian-12"),
        ('regex("[0-9]+", "debian12")', "12"),
        ('regex_replace("v1", "v(\\\\d)", "$1")', "1"),
        ('lower(trimspace("  Rocky "))', "rocky"),
        ('coalesce("", null, "x")', "x"),
        ('try(var.m.none, var.m.k)', "v"),
        ("can(var.m.none)", False),
        ('lookup(var.m, "none", "default")', "default"),
        ("merge({ a = 1 }, { a = 2, b = 3 })", {"a": 2, "b": 3}),
        ("concat(var.l, [\"d\"])[3]", "d"),
        ("flatten([[1], [2, [3]]])", [1, 2, 3]),
        ("length(keys(var.m))", 2),
        ('contains(var.l, "b")', True),
        ('basename("/iso/debian.iso")', "debian.iso"),
        ('dirname("/iso/debian.iso")', "/iso"),
        ('substr("bookworm", 0, 4)', "book"),
        ('jsondecode("{\\"a\\": [1]}").a[0]', 1),
        ('zipmap(["a"], [1])', {"a": 1}),
        ('max(var.l...)', UNKNOWN),
        ('"${abs(pow(12, 0.5))}|${-pow(12, 0.5)}"', "3.4641016151377544|-3.4641016151377544"),
        ('max([1, 5, 3]...)', 5),
        ('title("rocky linux")', "Rocky Linux"),
        ('"%{ if true }a%{ endif }"', "a"),
        ('"$${not} %%{this}"', "${not} %{this}"),
        ('"tab\\t\\"quoted\\" \\u00e9"', 'tab\t"quoted" é'),
        ("<<EOF\nline ${var.m.k} \"q\"\nEOF", 'line v "q"\n'),
        ("<<-EOF\n    a\n      b\n    EOF", "a\n  b\n"),
    ],
)  # fmt: skip
def test_an_expression_has_packers_value(tmp_path: Path, expression: str, expected: Value) -> None:
    assert evaluate(tmp_path, expression) == [expected]


@pytest.mark.parametrize(
    "expression",
    [
        "timestamp()",
        "uuidv4()",
        'vault("secret/data", "key")',
        "data.amazon-ami.x.id",
        "var.unset",
        "var.none",
        "local.none",
        '"a-${var.unset}"',
        'var.unset == "x" ? 1 : 2',
        "nosuch(1)",
        "var.l[9]",
        "1 / 0",
        'format("%v", null)',
        'file("/etc/hostname")',
        'env("HOME")',
    ],
)
def test_what_cannot_be_known_is_unknown(tmp_path: Path, expression: str) -> None:
    assert evaluate(tmp_path, expression) == [UNKNOWN]


def test_locals_find_one_another_in_any_order_and_circles_are_unknown(tmp_path: Path) -> None:
    assert evaluate(tmp_path, "local.r1", '"x"', "local.r3", "local.r2") == [
        "x",
        "x",
        UNKNOWN,
        UNKNOWN,
    ]


def test_files_of_the_template_are_read_and_noted(tmp_path: Path) -> None:
    (tmp_path / "version.txt").write_text("12.9.0\n")
    found = evaluate(tmp_path, 'trimspace(file("${path.root}/version.txt"))')
    assert found == ["12.9.0"]
    assert tmp_path / "version.txt" in template.load(tmp_path).referenced_files


def test_values_that_grow_without_bound_become_unknown(tmp_path: Path) -> None:
    doubling = ['"xxxxxxxxxxxxxxxx"'] + [f'"${{local.r{i}}}${{local.r{i}}}"' for i in range(40)]
    assert evaluate(tmp_path, *doubling)[-1] is UNKNOWN
    lists = ['["x"]'] + [f"[local.r{i}, local.r{i}]" for i in range(40)]
    assert all(len(repr(value)) < 1_000_000 for value in evaluate(tmp_path, *lists))
    assert evaluate(tmp_path, 'regex("(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab")') == [UNKNOWN]
    patterns = ['regex("a*a*a*a*a*a*a*a*b", join("", [for i in range(900) : "aaaa"]))']
    assert evaluate(tmp_path, *patterns) == [UNKNOWN]


@pytest.mark.parametrize("call", ['index(["a"], "b")', "pow(10, 1000)", "pow(0, -1)"])
def test_a_call_without_an_answer_is_unknown_and_no_error(tmp_path: Path, call: str) -> None:
    assert evaluate(tmp_path, call) == [UNKNOWN]


def test_endless_work_ends_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncpipe.template.evaluate.MAX_STEPS", 100_000)
    evaluate(tmp_path, "[for a in range(1000) : [for b in range(1000) : a + b]]")
    assert any("too long" in warning for warning in template.load(tmp_path).warnings)
