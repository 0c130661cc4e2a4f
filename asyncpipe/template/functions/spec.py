"""What a function of the table is: a signature, as cty's functions have it, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from asyncpipe.template.values import cty
from asyncpipe.template.values.convert import collection, convert
from asyncpipe.template.values.cty import ANY, BOOL, NUMBER, STRING, Failed, Type, Val
from asyncpipe.template.values.number import NotKnown

INT: Final = Type("int")  # of parameters: a whole number of 64 bits, given as ``int``
DOUBLE: Final = Type("double")  # likewise: given as ``float``
STRINGS: Final = Type("list", STRING)
_NUMERIC: Final = (INT, DOUBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """``call`` gets plain content for primitive parameters and a ``Val`` for all others.

    ``returns`` is ANY where the result's type depends on the arguments; then ``call`` returns a
    ``Val``. ``shallow``: elements inside the arguments may be unknown; ``nulls``: arguments may be.
    """

    call: Callable[..., Any]
    takes: tuple[Type, ...] = ()
    rest: Type | None = None
    returns: Type = ANY
    shallow: bool = False
    nulls: bool = False
    filled: bool = False  # what it returns is never empty, even where it is unknown

    def __call__(self, arguments: list[Val]) -> Val:
        """Call the function.

        Raises:
            Failed: Packer would report an error.
            NotKnown: the result cannot be known here.
        """
        extra = len(arguments) - len(self.takes)
        if extra < 0 or (extra and self.rest is None):
            raise Failed("wrong number of arguments")
        types = self.takes + (self.rest or ANY,) * extra
        return self._wrapped(self.call(*map(self._argument, arguments, types)))

    def _argument(self, value: Val, of: Type) -> Any:
        value = convert(value, NUMBER if of in _NUMERIC else of)
        if value.raw is None and not self.nulls:
            raise Failed("an argument is null")
        if not (value.known if self.shallow else cty.wholly_known(value)):
            raise NotKnown
        if of == INT:
            if value.raw.denominator != 1 or abs(value.raw) >= 1 << 63:
                raise Failed("a whole number is required")
            return int(value.raw)
        if of == DOUBLE:
            return _float(value.raw)
        return value.raw if of in {STRING, NUMBER, BOOL} else value

    def _wrapped(self, result: Any) -> Val:
        if isinstance(result, Val):
            return result
        if isinstance(result, str):
            return cty.text(result)
        if isinstance(result, bool):
            return cty.TRUE if result else cty.FALSE
        if isinstance(result, int | Fraction):
            return Val(NUMBER, result if isinstance(result, Fraction) else Fraction(result))
        return collection(self.returns.kind, map(cty.text, result), STRING)


def _float(content: Fraction) -> float:
    try:
        return float(content)
    except OverflowError:
        raise Failed("the number is too large") from None


def on_text(call: Callable[..., Any], *more: Type, returns: Type = STRING) -> Function:
    """Return a function of a string and what else it takes."""
    return Function(call=call, takes=(STRING, *more), returns=returns)


def never_known(*takes: Type, rest: Type | None = None, filled: bool = False) -> Function:
    """Return a function of a text that only the build has."""
    return Function(call=_not_known, takes=takes, rest=rest, returns=STRING, filled=filled)


def _not_known(*_: Any) -> Any:
    raise NotKnown


def items(value: Val, *kinds: str) -> list[Val]:
    """Return the elements of a list, tuple or (if asked for) other kind.

    Raises:
        Failed: of another kind.
    """
    if value.type.kind not in (kinds or ("list", "tuple")):
        raise Failed("a list is required")
    return [one for _, one in value.elements()]


def rebuilt(value: Val, parts: Iterable[Val]) -> Val:
    """Return a tuple of ``parts`` where ``value`` is one, else a list."""
    if value.type.kind == "tuple":
        return cty.tuple_of(parts)
    return collection("list", parts, value.type.of)
