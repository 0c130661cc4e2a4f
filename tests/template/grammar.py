"""A hypothesis grammar of expressions that people write in templates, mostly well typed."""

# ruff: noqa: E501, SIM905 -- one alternative a line is easier to compare

from __future__ import annotations

import json

from hypothesis import strategies as st

Expression = st.SearchStrategy[str]


def _call(name: str, *parameters: Expression) -> Expression:
    return st.tuples(*parameters).map(lambda given: f"{name}({', '.join(given)})")


def _quoted(text: str) -> str:
    plain = json.dumps(text, ensure_ascii=False).replace("\\b", "").replace("\\f", "")
    return plain.replace("${", "$${").replace("%{", "%%{")


_WORDS = st.sampled_from(
    ["debian", "12.5.0", "", "a-b_c", "x86_64", "Ubuntu 24.04", "12", "1.50", "true", "ß é", "e\u0301",
     "a.b.c", "v1", "  pad ", "l1\nl2\n", "$5", "50%", "<a&b>", "\U0001f468\u200d\U0001f469", "0", "null"]
)  # fmt: skip
_NAMES = st.sampled_from(["a", "b", "os", "version", "k-1"])
_PATTERNS = st.sampled_from(
    [
        "[0-9]+",
        "([a-z]+)-([0-9]+)",
        "(?P<os>[a-z]+)",
        "a*",
        "",
        "^.",
        "(x)?(b)",
        "[",
        "(?i)DEB",
        r"\\d+(\\.\\d+)?",
    ]
).map(lambda text: f'"{text}"')

text: Expression = st.deferred(lambda: _text)
num: Expression = st.deferred(lambda: _num)
boolean: Expression = st.deferred(lambda: _boolean)
strings: Expression = st.deferred(lambda: _strings)
numbers: Expression = st.deferred(lambda: _numbers)
thing: Expression = st.deferred(lambda: _thing)
mapping: Expression = st.deferred(lambda: _mapping)

_string_names = st.sampled_from(
    [
        "var.release",
        "var.strnum",
        "var.text",
        "var.unicode",
        "var.url",
        "var.vm.os",
        "local.iso",
        "local.os.version",
    ]
)
_text: Expression = st.one_of(
    _WORDS.map(_quoted),
    _string_names,
    st.tuples(text, st.one_of(text, num, boolean)).map(lambda p: f'"a${{{p[0]}}}-${{{p[1]}}}"'),
    st.tuples(boolean, text).map(lambda p: f'"%{{ if {p[0]} }}${{{p[1]}}}%{{ else ~}} no %{{ endif }}"'),
    strings.map(lambda one: f'"%{{ for s in {one} }}${{s}},%{{ endfor }}"'),
    *(_call(name, text) for name in (
        "upper", "lower", "title", "trimspace", "chomp", "strrev", "md5", "sha1", "sha256", "base64encode",
        "urlencode", "basename", "dirname", "jsonencode")),
    _call("replace", text, text, text),
    _call("regex_replace", text, _PATTERNS, st.sampled_from(['"<$0>"', '"$1"', '"$${1}x"', '"-"', '"$os."'])),
    _call("substr", text, num, num),
    _call("join", text, strings),
    _call("trim", text, text), _call("trimprefix", text, text), _call("trimsuffix", text, text),
    _call("format", st.sampled_from(
        ['"%s"', '"%v"', '"%q"', '"%10s|"', '"%-6v|"', '"%d"', '"%05d"', '"%+.2f"', '"%x"', '"%t"', '"%.3s"', '"%e"', '"%g"', '"%#v"']
    ), st.one_of(text, num, boolean, strings, mapping)),
    _call("format", st.just('"%s-%02d%%"'), text, num),
    _call("element", strings, num),
    _call("lookup", mapping, text, text),
    _call("coalesce", text, text),
    _call("jsonencode", thing), _call("yamlencode", thing),
    _call("cidrhost", st.sampled_from(['"10.0.0.0/8"', '"192.168.1.0/24"', '"fd00::/64"', '"x"']), num),
    _call("cidrsubnet", st.sampled_from(['"10.0.0.0/8"', '"192.168.1.7/24"']), num, num),
    _call("formatdate", st.sampled_from(
        ['"YYYY-MM-DD"', '"D MMM YY hh:mm:ss ZZZZ"', '"EEEE, HH AA \'at\' m"', '"Q"']
    ), st.sampled_from(['"2026-01-02T03:04:05Z"', '"2024-02-29T23:59:59+05:30"', '"2026"'])),
    _call("timeadd", st.sampled_from(['"2026-01-02T03:04:05Z"', '"2024-02-29T23:59:59-08:00"']),
          st.sampled_from(['"1h"', '"-90m"', '"1.5s"', '"day"'])),
    _call("indent", num, text),
    _call("uuidv5", st.sampled_from(['"dns"', '"url"', '"nope"']), text),
)  # fmt: skip
_num: Expression = st.one_of(
    st.sampled_from(["0", "1", "2", "3", "12", "100", "1.5", "0.1", "2.50", "-1", "-2.75", "1e3", "1048576", "12.0"]),
    st.sampled_from(["var.major", "var.minor", "var.vm.cores", "var.numstr", "length(var.names)"]),
    st.tuples(num, st.sampled_from("+ - * / %".split()), num).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
    *(_call(name, num) for name in ("abs", "ceil", "floor", "signum")),
    _call("max", num, num), _call("min", num, num), _call("pow", num, st.sampled_from(["0", "2", "0.5"])),
    _call("length", st.one_of(strings, text, mapping, numbers)),
    _call("parseint", text, st.sampled_from(["10", "16", "2", "62"])),
    _call("sum", numbers),
    _call("index", strings, text),
    _call("element", numbers, num),
    st.sampled_from(['"12"', '"1.50"', '"x"']),
)  # fmt: skip
_boolean: Expression = st.one_of(
    st.sampled_from(["true", "false", "var.enabled", '"true"']),
    st.tuples(num, st.sampled_from("< > <= >= == !=".split()), num).map(" ".join).map("({})".format),
    st.tuples(thing, st.sampled_from(["==", "!="]), thing).map(" ".join).map("({})".format),
    st.tuples(boolean, st.sampled_from(["&&", "||"]), boolean).map(" ".join).map("({})".format),
    boolean.map(lambda one: f"!{one}"),
    _call("contains", strings, text), _call("startswith", text, text), _call("endswith", text, text),
    _call("strcontains", text, text), _call("can", thing),
    _call("alltrue", st.sampled_from(["[]", "[true, \"false\"]", "[true, null]"])),
    _call("anytrue", st.sampled_from(["[]", "[false, \"true\"]", "[null]"])),
)  # fmt: skip
_strings: Expression = st.one_of(
    st.lists(text, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.sampled_from(["var.names", "var.disks", "var.uniq", "keys(var.tags)"]),
    _call("split", text, text), _call("sort", strings), _call("distinct", strings), _call("reverse", strings),
    _call("compact", strings), _call("concat", strings, strings), _call("slice", strings, num, num),
    _call("setunion", strings, strings), _call("setintersection", strings, strings), _call("flatten", thing),
    _call("keys", mapping), _call("values", mapping), _call("regexall", _PATTERNS, text),
    _call("formatlist", st.sampled_from(['"%s!"', '"%v"']), strings), _call("coalescelist", strings, strings),
    _call("chunklist", strings, num), _call("setproduct", strings, st.one_of(strings, numbers)),
    strings.map(lambda one: f"[for i, s in {one} : upper(s) if s != \"\"]"),
    mapping.map(lambda one: f"[for k, v in {one} : k]"),
    strings.map(lambda one: f"{one}[*]"),
    st.sampled_from(["var.list_of[*].name", "var.list_of.*.size", "var.vm[*].os"]),
)  # fmt: skip
_numbers: Expression = st.one_of(
    st.lists(num, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.just("var.nums"), _call("range", num), _call("range", num, num), _call("range", num, num, num),
)  # fmt: skip
_mapping: Expression = st.one_of(
    st.lists(st.tuples(_NAMES, thing), max_size=3).map(
        lambda items: "{" + ", ".join(f'"{name}" = {value}' for name, value in items) + "}"
    ),
    st.sampled_from(["var.tags", "var.vm", "local.codenames", "local.matrix", "local.nested", "var.anything"]),
    _call("merge", mapping, st.one_of(mapping, st.just("null"))),
    _call("zipmap", strings, st.one_of(strings, numbers)),
    strings.map(lambda one: f"{{for i, s in {one} : s => i}}"),
    strings.map(lambda one: f"{{for i, s in {one} : length(s) => s...}}"),
)  # fmt: skip
_thing: Expression = st.one_of(
    text, num, boolean, strings, numbers, mapping,
    st.just("null"), st.just("var.pair"), st.just("var.nothing"),
    st.tuples(boolean, thing, thing).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})"),
    _call("try", thing, thing),
    st.tuples(strings, num).map(lambda p: f"{p[0]}[{p[1]}]"),
    st.tuples(mapping, _NAMES).map(lambda p: f'{p[0]}["{p[1]}"]'),
    st.tuples(mapping, st.sampled_from(["a", "os"])).map(lambda p: f"{p[0]}.{p[1]}"),
    _call("regex", _PATTERNS, text),
    _call("coalesce", thing, thing),
    _call("convert", thing, st.sampled_from(
        ["string", "number", "bool", "any", "list(string)", "set(number)", "map(any)", "list(any)",
         "object({a = string, b = optional(number)})", "tuple([string, number])"])),
    _call("jsondecode", st.sampled_from(
        ['"{\\"a\\": [1, 2.50, null, true]}"', '"[1e2, \\"x\\"]"', '"{"', '"12"'])),
    _call("yamldecode", st.sampled_from(
        ['"a: 1.50\\nb: [x, yes]"', '"- 012\\n- 0x1F\\n- ~"', '"a: &x {b: 1}\\nc: *x"', '"a: \'1\'\\n<<: {b: 2}"', '"x: ["'])),
    _call("csvdecode", st.sampled_from(['"a,b\\n1,2\\n3,4\\n"', '"a,a\\n"', '"a,b\\n1\\n"', '""', '"a\\n\\"x,y\\"\\n"'])),
    _call("cidrsubnets", st.just('"10.0.0.0/16"'), num, num),
    _call("rfc3339_parse", st.sampled_from(['"2026-01-02T03:04:05Z"', '"2024-12-31 23:59:59+05:30"', '"x"'])),
    _call("unix_timestamp_parse", st.sampled_from(["0", "1700000000", "1.5"])),
)  # fmt: skip
expression = st.one_of(thing, text, num, boolean, strings, mapping)
