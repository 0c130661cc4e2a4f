"""Syntax tree + names -> value, as HCL evaluates. What Packer cannot know yet is unknown.

Nothing but ``Failed`` (Packer reports an error; ``try`` sees it) leaves a rule, and nothing at all
leaves ``Evaluator``. Work and results are bounded, so that no template makes it run away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from asyncpipe.model.template import UNKNOWN, Value
from asyncpipe.template.functions import TABLE
from asyncpipe.template.functions.spec import Function
from asyncpipe.template.operations import (
    MAX_ITEMS,
    MAX_TEXT_CHARS,
    common_type,
    converted,
    element,
    mapping,
    operation,
    size_of,
    within_bounds,
)
from asyncpipe.template.syntax.nodes import (
    ITEM,
    Binary,
    Call,
    Conditional,
    For,
    Index,
    Joined,
    Literal,
    Node,
    ObjectOf,
    Root,
    Splat,
    Text,
    TupleOf,
    Unary,
)
from asyncpipe.template.values import cty
from asyncpipe.template.values.constraints import constraint
from asyncpipe.template.values.convert import collection, convert, settled
from asyncpipe.template.values.cty import ANY, BOOL, FALSE, NUMBER, STRING, TRUE, Failed, Type, Val
from asyncpipe.template.values.number import NotKnown

HOLE: Final = "\ufffc"  # marks an unknown part where a partial text is wanted
MAX_STEPS: Final = 400_000  # of one template, about a second

# What our own functions may raise for values that we did not think of counts as unknown.
_UNFORESEEN: Final = (
    NotKnown,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)

Scope = Mapping[str, Val]


def _refuse(*_: Any) -> Val:
    raise Failed("templatefile() inside templatefile()")


_NO_RECURSION: Final = Function(call=_refuse, rest=ANY)


class Evaluator:
    """Evaluates expressions against ``names`` (``var``, ``path`` ...) and lazily found locals.

    ``local`` returns the value of one local; ``functions`` are all that may be called, besides
    those that take expressions.
    """

    def __init__(
        self,
        names: Scope,
        local: Callable[[str], Val] | None = None,
        functions: Mapping[str, Function] = TABLE,
    ) -> None:
        self._names = names
        self._local = local
        self._functions = functions
        self._steps = 0
        self._holes = False
        self._rules: dict[type[Node], Callable[[Any, Scope], Val]] = {
            Literal: lambda node, _: node.value,
            Text: self._text,
            Joined: self._joined,
            Root: self._root,
            Index: self._index,
            Call: self._call,
            Conditional: self._conditional,
            TupleOf: lambda node, scope: cty.tuple_of(self._eval(one, scope) for one in node.items),
            ObjectOf: self._object,
            Binary: self._binary,
            Unary: self._unary,
            Splat: self._splat,
            For: self._for,
        }

    @property
    def exhausted(self) -> bool:
        """Whether the bound on work was reached: everything after it is unknown."""
        return self._steps > MAX_STEPS

    def typed(self, node: Node, scope: Scope | None = None) -> Val:
        """Return the value of an expression; unknown where it fails or is too large."""
        try:
            value = self._eval(node, scope or {})
            size = size_of(value)
        except (Failed, NotKnown, RecursionError):
            return cty.unknown()
        self._steps += size
        return value if size <= MAX_ITEMS else cty.unknown()

    def value(self, node: Node) -> Value:
        """Return the value of an expression as plain data; UNKNOWN for whatever goes wrong."""
        return cty.plain(self.typed(node))

    def partial_text(self, node: Node) -> str | None:
        """Return a string template with HOLE for its unknown parts; None if nothing is known."""
        self._holes = True
        try:
            value = self.value(node)
        finally:
            self._holes = False
        return value if isinstance(value, str) and value.strip(HOLE) else None

    def render(self, node: Node, scope: Scope) -> Val:
        """Evaluate a template file: its names are ``scope``'s alone."""
        inner = Evaluator({}, functions={**self._functions, "templatefile": _NO_RECURSION})
        inner._steps = self._steps
        try:
            return inner._eval(node, scope)
        finally:
            self._steps = inner._steps

    def _eval(self, node: Node, scope: Scope) -> Val:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise NotKnown
        return self._rules[type(node)](node, scope)

    def _attempt(self, node: Node, scope: Scope) -> tuple[Val, Failed | None]:
        """Evaluate what may turn out not to matter: (the value, the error it has)."""
        try:
            return self._eval(node, scope), None
        except Failed as error:
            return cty.unknown(error.of), error
        except NotKnown:
            return cty.unknown(), None

    def _text(self, node: Text, scope: Scope) -> Val:
        pieces, is_unknown, size = [], False, 0
        for part in node.parts:
            value = self._piece(part, scope)
            if value.raw is None:
                raise Failed("a null value in a text", STRING)
            if not value.known:
                is_unknown = True
                pieces.append(HOLE)
                continue
            content = converted(value, STRING, STRING).raw
            size += len(content)
            if size > MAX_TEXT_CHARS:
                return cty.unknown(STRING)
            pieces.append(content)
        if is_unknown and not self._holes:
            return cty.unknown(STRING)
        return cty.text("".join(pieces))

    def _piece(self, part: Node, scope: Scope) -> Val:
        value, error = self._attempt(part, scope)
        if error is not None and not self._holes:
            raise Failed(str(error), STRING)
        return value

    def _joined(self, node: Joined, scope: Scope) -> Val:
        found = self._for(node.each, scope)
        if not found.known:
            return cty.unknown(STRING)
        return self._text(Text(tuple(Literal(one) for _, one in found.elements())), scope)

    def _root(self, node: Root, scope: Scope) -> Val:
        if node.name in scope:
            return scope[node.name]
        found = self._names.get(node.name)
        if found is None:
            raise Failed(f"there is nothing named {node.name!r} here")
        return found

    def _index(self, node: Index, scope: Scope) -> Val:
        base = node.base
        if base == Root("local") and "local" not in scope and self._local is not None:
            key = self._eval(node.key, scope)
            return self._local(key.raw) if isinstance(key.raw, str) else cty.unknown()
        source = self._eval(base, scope)
        return element(source, self._eval(node.key, scope), is_name=node.is_name)

    def _call(self, node: Call, scope: Scope) -> Val:
        if node.name in {"try", "can"}:
            return self._try(node, scope)
        if node.name == "convert" and len(node.arguments) == 2:
            to, _ = constraint(node.arguments[1], self)
            return convert(self._eval(node.arguments[0], scope), settled(ANY, to))
        function = self._functions.get(node.name)
        if function is None:
            raise Failed(f"there is no function named {node.name!r}")
        arguments = [self._eval(argument, scope) for argument in node.arguments]
        if node.expand and arguments:
            last = arguments.pop()
            if not last.known:
                return cty.unknown()
            if last.type.kind not in cty.SEQUENCES:
                raise Failed("only a list can be expanded")
            arguments += [one for _, one in last.elements()]
        self._steps += sum(map(size_of, arguments)) // 8
        try:
            result = function(arguments)
        except _UNFORESEEN:
            return Val(function.returns, UNKNOWN, filled=function.filled)
        return result if within_bounds(result) else cty.unknown(result.type)

    def _try(self, node: Call, scope: Scope) -> Val:
        if not node.arguments:
            raise Failed("at least one argument is required")
        for argument in node.arguments:
            value, error = self._attempt(argument, scope)
            if node.name == "can":
                return FALSE if error else TRUE if cty.wholly_known(value) else cty.unknown(BOOL)
            if error is None:
                return value
        raise Failed("no attempt succeeded")

    def _conditional(self, node: Conditional, scope: Scope) -> Val:
        branches = [self._attempt(branch, scope) for branch in (node.yes, node.no)]
        to = common_type(branches[0][0], branches[1][0])
        test = converted(self._eval(node.test, scope), BOOL, to)
        if not test.known:
            return cty.unknown(to)
        if test.raw is None:
            raise Failed("the condition is null", to)
        value, error = branches[0 if test.raw else 1]
        if error is not None:
            raise error
        return converted(value, to, to)

    def _object(self, node: ObjectOf, scope: Scope) -> Val:
        found: dict[str, Val] = {}
        for key_node, value_node in node.items:
            key = self._eval(key_node, scope)
            if key.raw is None:
                raise Failed("the key is null")
            key = convert(key, STRING)
            if not key.known:
                return cty.unknown()
            found[key.raw] = self._eval(value_node, scope)
        return cty.object_of(found)

    def _binary(self, node: Binary, scope: Scope) -> Val:
        """Evaluate a chain of operators from its left end, however long it is."""
        chain: list[Binary] = []
        leftmost: Node = node
        while isinstance(leftmost, Binary):
            chain.append(leftmost)
            leftmost = leftmost.left
        value, error = self._attempt(leftmost, scope)
        for one in reversed(chain):
            right = self._attempt(one.right, scope)
            try:
                value, error = operation(one.operator, (value, error), right), None
            except NotKnown:
                value, error = cty.unknown(NUMBER), None
            except Failed as failure:
                value, error = cty.unknown(failure.of), failure
        if error is not None:
            raise error
        return value

    def _unary(self, node: Unary, scope: Scope) -> Val:
        of = BOOL if node.operator == "!" else NUMBER
        value = converted(self._eval(node.operand, scope), of, of)
        if value.raw is None:
            raise Failed("the operand is null", of)
        if not value.known:
            return cty.unknown(of)
        return Val(of, not value.raw if of == BOOL else -value.raw)

    def _splat(self, node: Splat, scope: Scope) -> Val:
        base = self._eval(node.base, scope)
        is_list = base.type.kind in cty.SEQUENCES
        if base.raw is None:
            if is_list:
                raise Failed("a splat of null")
            return cty.tuple_of(())
        if not base.known:
            return cty.unknown()
        items = [one for _, one in base.elements()] if is_list else [base]
        found = [self._eval(node.each, {**scope, ITEM.name: item}) for item in items]
        if base.type.kind == "tuple" or not is_list:
            return cty.tuple_of(found)
        if not found:
            return collection("list", (), self._attempt_type(node.each, base.type.of, scope))
        return collection("list", found)

    def _attempt_type(self, each: Node, of: Type, scope: Scope) -> Type:
        return self._attempt(each, {**scope, ITEM.name: cty.unknown(of)})[0].type

    def _for(self, node: For, scope: Scope) -> Val:
        source = self._eval(node.collection, scope)
        if source.raw is None:
            raise Failed("a loop over null")
        if not source.known:
            return cty.unknown()
        found: list[tuple[str, Val]] = []
        for key, value in source.elements()[:MAX_ITEMS]:
            inner = {**scope, node.names[-1]: value}
            if len(node.names) > 1:
                inner[node.names[0]] = key
            if node.test is not None:
                wanted = converted(self._eval(node.test, inner), BOOL, ANY)
                if not wanted.known:
                    return cty.unknown()
                if wanted.raw is None:
                    raise Failed("the condition of a loop is null")
                if not wanted.raw:
                    continue
            name = "" if node.key is None else self._key(node.key, inner)
            if name is None:
                return cty.unknown()
            found.append((name, self._eval(node.value, inner)))
        return (
            cty.tuple_of(one for _, one in found)
            if node.key is None
            else mapping(found, grouped=node.grouped)
        )

    def _key(self, node: Node, scope: Scope) -> str | None:
        key = self._eval(node, scope)
        if key.raw is None:
            raise Failed("the key of a loop is null")
        key = convert(key, STRING)
        return key.raw if key.known else None
