"""Packer's first template format: JSON with ``builders`` and ``{{user `x`}}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from asyncpipe.errors import TemplateError
from asyncpipe.model.template import UNKNOWN, Location, TemplateSource, Value, Variable
from asyncpipe.template import references
from asyncpipe.template.evaluate import HOLE
from asyncpipe.template.files import Files, SourceFile
from asyncpipe.template.hcl import Content
from asyncpipe.template.syntax import json_form
from asyncpipe.template.variables import Inputs

_ACTION = re.compile(r"\{\{-?\s*(?P<code>[^{}]*?)\s*-?\}\}")
_QUOTED: Final = r"(?:`([^`]*)`|\"([^\"]*)\")"
_USER = re.compile(rf"user\s*{_QUOTED}")
_ENV = re.compile(rf"env\s*{_QUOTED}")
_CASED = re.compile(
    rf"(?P<case>upper|lower)\s*\(?\s*user\s*{_QUOTED}\s*\)?|user\s*{_QUOTED}\s*\|\s*(?P<piped>upper|lower)"
)
_MAX_LEVELS: Final = 20


def content_of(files: Files, inputs: Inputs, chosen: Callable[[str], bool]) -> Content:
    """Evaluate a legacy template.

    Raises:
        TemplateError: not JSON, or no builders in it.
    """
    file = files.templates[0]
    data = json_form.load(file.text, str(file.path))
    if not isinstance(data.get("builders"), list):
        raise TemplateError(
            f'{file.path}: this JSON has no "builders": it is no Packer template.',
            file=str(file.path),
        )
    found = Content()
    if isinstance(least := data.get("min_packer_version"), str):
        found.required_versions.append(f">= {least}")
    resolver = _Resolver(data, file, inputs, files.folder)
    found.variables, found.warnings = resolver.variables, resolver.warnings
    post_processors = tuple(_post_processors(data.get("post-processors")))
    for builder in data["builders"]:
        if isinstance(builder, json_form.Mapped) and isinstance(builder.get("type"), str):
            source = replace(resolver.source(builder), post_processors=post_processors)
            if chosen(source.label):
                found.sources.append(source)
                found.references += references.named_by(source.attributes)
    for step in _steps(data):
        found.references += references.named_by(
            {key: resolver.value(value) for key, value in step.items()}, str(step.get("type"))
        )
    return found


def _steps(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("provisioners", "post-processors"):
        steps = data.get(name)
        for step in steps if isinstance(steps, list) else []:
            if isinstance(step, dict):
                yield step


def _post_processors(steps: object) -> Iterator[str]:
    """What ``-except`` calls them: a type alone, an object with a name, or a chain of both."""
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, list):
            yield from _post_processors(step)
        name = (step.get("name") or step.get("type")) if isinstance(step, dict) else step
        if isinstance(name, str):
            yield name


class _Resolver:
    """Resolves ``{{user ...}}`` against defaults, var files and -var."""

    def __init__(
        self, data: json_form.Mapped, file: SourceFile, inputs: Inputs, folder: Path
    ) -> None:
        self._file = str(file.path)
        self._folder = folder
        self._environment = inputs.environment
        self._values: dict[str, Value] = {}
        self.variables: dict[str, Variable] = {}
        self.warnings: list[str] = []
        self._declare(data, inputs)

    def _declare(self, data: json_form.Mapped, inputs: Inputs) -> None:
        declared = data.get("variables")
        if not isinstance(declared, json_form.Mapped):
            declared = json_form.Mapped()
            declared.lines = {}
        secret = data.get("sensitive-variables")
        secrets = set(map(str, secret)) if isinstance(secret, list) else set()
        given: dict[str, tuple[Value, str, Location]] = {}
        for name, default in declared.items():
            location = Location(file=self._file, line=declared.lines.get(name, 0))
            if default is not None:
                given[name] = (self._default(default), "default", location)
            else:
                given[name] = (None, "unset", location)
        for file in inputs.var_files:
            values = json_form.load(file.text, str(file.path))
            for name, value in values.items():
                line = values.lines.get(name, 0)
                given[name] = (value, file.path.name, Location(file=str(file.path), line=line))
        here = Location(file=self._file)
        given.update({n: (v, "-var", here) for n, v in inputs.variables.items()})
        for name, (value, origin, location) in given.items():
            self._values[name] = UNKNOWN if origin == "unset" else value
            self.variables[name] = Variable(
                name=name,
                value=value,
                sensitive=name in secrets,
                is_set=origin != "unset",
                origin=origin,
                location=location,
            )

    def _default(self, default: Any) -> Value:
        """A default may read the environment and nothing else."""
        if not isinstance(default, str):
            value: Value = default
            return value
        match = _ACTION.fullmatch(default)
        env = _ENV.fullmatch(match["code"]) if match else None
        if env is not None:
            return self._environment.get(env[1] or env[2] or "", "")
        return default

    def source(self, builder: json_form.Mapped) -> TemplateSource:
        """Return one builder as a source."""
        attributes: dict[str, Value] = {}
        locations: dict[str, Location] = {}
        partial: dict[str, str] = {}
        for key, raw in builder.items():
            attributes[key] = self.value(raw)
            locations[key] = Location(file=self._file, line=builder.lines.get(key, 0))
            if attributes[key] is UNKNOWN and isinstance(raw, str):
                text = self._render(raw, hole=HOLE)
                if isinstance(text, str) and text.strip(HOLE):
                    partial[key] = text
        type_ = builder["type"]
        name = attributes.get("name")
        return TemplateSource(
            type=type_,
            label=name if isinstance(name, str) and name else type_,
            build_name=None,
            attributes=attributes,
            locations=locations,
            location=Location(file=self._file, line=builder.lines.get("type", 0)),
            partial_texts=partial,
            legacy=True,
        )

    def value(self, raw: Any, level: int = 0) -> Value:
        """Return a JSON value with every string in it rendered."""
        if level > _MAX_LEVELS:
            return UNKNOWN
        if isinstance(raw, str):
            return self._render(raw, hole=None)
        if isinstance(raw, list):
            return [self.value(item, level + 1) for item in raw]
        if isinstance(raw, dict):
            return {str(key): self.value(item, level + 1) for key, item in raw.items()}
        value: Value = raw
        return value

    def _render(self, text: str, *, hole: str | None, level: int = 0) -> Value:
        if "{{" not in text:
            return text
        unknown = False

        def action(match: re.Match[str]) -> str:
            nonlocal unknown
            value = self._action(match, level)
            if value is None:
                unknown = True
                return hole or ""
            return value

        rendered = _ACTION.sub(action, text)
        return UNKNOWN if unknown and hole is None else rendered

    def _action(self, match: re.Match[str], level: int) -> str | None:
        """Value of one ``{{...}}``; None if unknown; what Packer fills in later stays."""
        code = match["code"]
        user = _USER.fullmatch(code)
        if user is not None:
            return self._user(user[1] or user[2] or "", level)
        cased = _CASED.fullmatch(code)
        if cased is not None:
            name = next((group for group in cased.groups()[1:] if group), "")
            value = self._user(name, level)
            upper = (cased["case"] or cased["piped"]) == "upper"
            return None if value is None else value.upper() if upper else value.lower()
        if code == "template_dir":
            return str(self._folder)
        return match[0]

    def _user(self, name: str, level: int) -> str | None:
        value = self._values.get(name, UNKNOWN)
        if isinstance(value, str) and "{{" in value and level < _MAX_LEVELS:
            value = self._render(value, hole=None, level=level + 1)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, str | int | float) else None
