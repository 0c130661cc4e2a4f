"""HCL2 bodies -> variables, locals, and the sources as the build blocks use them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from asyncpipe.model.template import UNKNOWN, Location, Reference, TemplateSource, Value, Variable
from asyncpipe.template import references, variables
from asyncpipe.template.evaluate import Evaluator
from asyncpipe.template.files import Files
from asyncpipe.template.functions import TABLE
from asyncpipe.template.functions.paths import FileFunctions, Where
from asyncpipe.template.syntax import blocks as hcl_blocks
from asyncpipe.template.syntax import json_form
from asyncpipe.template.syntax.nodes import Attribute, Block, Index, Literal, Node, Root
from asyncpipe.template.values import cty
from asyncpipe.template.values.cty import Failed, Val

_BUILD_WORDS = frozenset({"name", "description", "sources"})


@dataclass(slots=True, kw_only=True)
class Content:
    """What was found; filled while the blocks are walked."""

    variables: dict[str, Variable] = field(default_factory=dict)
    locals: dict[str, Value] = field(default_factory=dict)
    local_locations: dict[str, Location] = field(default_factory=dict)
    sources: list[TemplateSource] = field(default_factory=list)
    required_versions: list[str] = field(default_factory=list)
    required_plugins: dict[str, str] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """What the sources of one build block share."""

    name: str | None = None
    post_processors: tuple[str, ...] = ()


_NO_BUILD = _Build()


def content_of(
    files: Files, inputs: variables.Inputs, where: Where, chosen: Callable[[str], bool]
) -> Content:
    """Evaluate the template's files together.

    Raises:
        TemplateError: broken HCL or JSON, with file and line.
    """
    blocks = [
        block
        for file in files.templates
        for block in (json_form.parse if file.is_json else hcl_blocks.parse)(
            file.text, str(file.path)
        ).blocks
    ]
    return _Assembly(blocks, inputs, where).content(chosen)


class _Assembly:
    """Puts the blocks of all files of one template together."""

    def __init__(self, blocks: list[Block], inputs: variables.Inputs, where: Where) -> None:
        self._blocks = blocks
        resolved = variables.resolve(blocks, inputs)
        self._found = Content(variables=resolved.variables, warnings=resolved.warnings)
        self._locals = _locals(blocks)
        self._values: dict[str, Val] = {}
        self._pending: set[str] = set()
        paths = {"root": str(where.folder), "cwd": os.path.abspath(where.working_directory)}  # noqa: PTH100
        files = FileFunctions(where, self._note, self._render)
        self._evaluator = Evaluator(
            {
                "var": cty.object_of(resolved.values),
                "path": cty.object_of({name: cty.text(path) for name, path in paths.items()}),
                **dict.fromkeys(("local", "data", "build", "source", "packer"), cty.unknown()),
            },
            self._local,
            {**TABLE, **files.table()},
        )

    def content(self, chosen: Callable[[str], bool]) -> Content:
        """Evaluate everything; only the sources that ``chosen`` accepts by full name are kept."""
        found = self._found
        for name, (file, attribute) in self._locals.items():
            found.locals[name] = cty.plain(self._local(name))
            found.local_locations[name] = Location(file=file, line=attribute.line)
        for block in self._of("packer"):
            found.required_versions += self._versions(block)
            for plugins in block.of("required_plugins"):
                found.required_plugins.update(self._plugins(plugins))
        self._add_sources(chosen)
        self._add_references()
        if self._evaluator.exhausted:
            found.warnings.append(
                "the template takes too long to evaluate; the rest of it counts as unknown"
            )
        return found

    def _of(self, type_: str) -> list[Block]:
        return [block for block in self._blocks if block.type == type_]

    def _render(self, node: Node, scope: Mapping[str, Val]) -> Val:
        return self._evaluator.render(node, scope)

    def _local(self, name: str) -> Val:
        if name in self._values:
            return self._values[name]
        if name not in self._locals:
            raise Failed(f"there is no local {name!r}")
        if name in self._pending:
            return cty.unknown()
        self._pending.add(name)
        value = self._evaluator.typed(self._locals[name][1].expression)
        self._pending.discard(name)
        self._values[name] = value
        return value

    def _versions(self, block: Block) -> list[str]:
        attribute = block.attributes.get("required_version")
        value = self._evaluator.value(attribute.expression) if attribute else None
        return [value] if isinstance(value, str) else []

    def _plugins(self, block: Block) -> dict[str, str]:
        plugins = {}
        for name, attribute in block.attributes.items():
            value = self._evaluator.value(attribute.expression)
            if isinstance(value, dict):
                source, constraint = value.get("source", name), value.get("version", "")
                if isinstance(source, str):
                    plugins[source] = constraint if isinstance(constraint, str) else ""
        return plugins

    def _add_sources(self, chosen: Callable[[str], bool]) -> None:
        declared = {
            ".".join(block.labels): block for block in self._of("source") if len(block.labels) == 2
        }
        builds = self._of("build")
        for build in builds:
            self._add_build(build, declared, chosen)
        if not builds:
            for block in declared.values():
                self._found.warnings.append(
                    f"{block.file}:{block.line}: no build block uses this source"
                )
                self._add(block, None, chosen)

    def _add_build(
        self, build: Block, declared: Mapping[str, Block], chosen: Callable[[str], bool]
    ) -> None:
        use = _Build(name=self._name_of(build), post_processors=self._post_processors(build))
        uses: list[tuple[str, Block | None]] = []
        if "sources" in build.attributes:
            uses += [(ref, None) for ref in self._source_names(build.attributes["sources"])]
        uses += [(_bare(block.labels[0]), block) for block in build.of("source") if block.labels]
        for reference, override in uses:
            if reference in declared:
                self._add(declared[reference], override, chosen, use)
            else:
                self._found.warnings.append(
                    f"{build.file}:{build.line}: source {reference!r} is not declared"
                )

    def _name_of(self, block: Block) -> str | None:
        if "name" not in block.attributes:
            return None
        value = self._evaluator.value(block.attributes["name"].expression)
        return value if isinstance(value, str) and value else None

    def _post_processors(self, block: Block) -> tuple[str, ...]:
        """What ``-except`` calls the post-processors of a build, or of a chain of them."""
        names: list[str] = []
        for inner in block.blocks:
            if inner.type == "post-processors":
                names += self._post_processors(inner)
            elif inner.type == "post-processor" and inner.labels:
                names.append(self._name_of(inner) or inner.labels[0])
        return tuple(names)

    def _source_names(self, attribute: Attribute) -> list[str]:
        node = attribute.expression
        items = getattr(node, "items", None)
        nodes: list[Node] = list(items) if isinstance(items, tuple) else [node]
        names = [_traversal(item) for item in nodes]
        if len(names) == 1 and names[0] is None:
            value = self._evaluator.value(node)
            values = value if isinstance(value, list) else [value]
            return [_bare(item) for item in values if isinstance(item, str)]
        evaluated = [name or self._evaluator.value(n) for name, n in zip(names, nodes, strict=True)]
        return [_bare(item) for item in evaluated if isinstance(item, str)]

    def _add(
        self,
        block: Block,
        override: Block | None,
        chosen: Callable[[str], bool],
        build: _Build = _NO_BUILD,
    ) -> None:
        layers = [block] if override is None else [block, override]
        label = block.labels[1]
        attributes: dict[str, Value] = {}
        locations: dict[str, Location] = {}
        partial: dict[str, str] = {}
        for layer in layers:
            self._read(layer, "", attributes, locations, partial)
        if override is not None and "name" in override.attributes:
            renamed = attributes["name"]
            label = renamed if isinstance(renamed, str) and renamed else label
        full = ".".join(filter(None, (build.name, block.labels[0], label)))
        if not chosen(full):
            return
        self._found.sources.append(
            TemplateSource(
                type=block.labels[0],
                label=label,
                build_name=build.name,
                attributes=attributes,
                locations=locations,
                location=Location(file=block.file, line=block.line),
                partial_texts=partial,
                post_processors=build.post_processors,
            )
        )

    def _read(
        self,
        block: Block,
        prefix: str,
        attributes: dict[str, Value],
        locations: dict[str, Location],
        partial: dict[str, str],
    ) -> None:
        """Read attributes, and inner blocks as lists of objects; locations get dotted names."""
        for name, attribute in block.attributes.items():
            value = self._evaluator.value(attribute.expression)
            attributes[name] = value
            locations[prefix + name] = Location(file=block.file, line=attribute.line)
            partial.pop(prefix + name, None)
            if value is UNKNOWN:
                text = self._evaluator.partial_text(attribute.expression)
                if text is not None:
                    partial[prefix + name] = text
        groups: dict[str, list[Value]] = {}
        for inner in block.blocks:
            content: dict[str, Value] = {}
            self._read(inner, f"{prefix}{inner.type}.", content, locations, partial)
            groups.setdefault(inner.type, []).append(content)
            locations.setdefault(prefix + inner.type, Location(file=inner.file, line=inner.line))
        attributes.update(groups)

    def _add_references(self) -> None:
        for source in self._found.sources:
            self._found.references += references.named_by(source.attributes)
        for build in self._of("build"):
            self._add_steps(build)

    def _add_steps(self, block: Block) -> None:
        for inner in block.blocks:
            if inner.type in {"provisioner", "error-cleanup-provisioner", "post-processor"}:
                values = {
                    name: self._evaluator.value(attribute.expression)
                    for name, attribute in inner.attributes.items()
                    if name not in _BUILD_WORDS or name == "sources"
                }
                self._found.references += references.named_by(
                    values, inner.labels[0] if inner.labels else ""
                )
            elif inner.type == "post-processors":
                self._add_steps(inner)

    def _note(self, path: str) -> None:
        self._found.references.append(Reference(text=path))


def _locals(blocks: list[Block]) -> dict[str, tuple[str, Attribute]]:
    found: dict[str, tuple[str, Attribute]] = {}
    for block in blocks:
        if block.type == "locals":
            found.update({name: (block.file, one) for name, one in block.attributes.items()})
        elif block.type == "local" and block.labels and "expression" in block.attributes:
            found[block.labels[0]] = (block.file, block.attributes["expression"])
    return found


def _traversal(node: Node) -> str | None:
    """``source.type.label`` as text; None for anything else."""
    words: list[str] = []
    while isinstance(node, Index) and isinstance(node.key, Literal):
        words.append(str(node.key.value.raw))
        node = node.base
    if isinstance(node, Root) and node.name in {"source", "sources"} and len(words) == 2:
        return ".".join(reversed(words))
    return None


def _bare(reference: str) -> str:
    head, dot, rest = reference.partition(".")
    return rest if dot and head in {"source", "sources"} else reference
