"""What a template declares about its own place: ``variant`` and ``production``, beside os_name.

Both are locals or variables; a local wins, since it may be computed from variables.
"""

from __future__ import annotations

from typing import Final

from asyncpipe.errors import TemplateError
from asyncpipe.model import store_keys
from asyncpipe.model.template import UNKNOWN, Template, Value

_VARIANT: Final = "variant"
_PRODUCTION: Final = "production"


def variant_of(template: Template, explicit: str | None = None) -> str:
    """The variant that a template builds, "" for none; ``explicit`` (--variant) wins.

    Raises:
        TemplateError: what it declares cannot be part of a name.
    """
    if explicit is not None:
        return explicit
    value = _declared(template, _VARIANT)
    if value is None or value == "":
        return ""
    is_secret = _VARIANT in template.variables and template.variables[_VARIANT].sensitive
    if is_secret or not isinstance(value, str) or not store_keys.is_variant(value):
        raise _unusable(template, value, is_secret=is_secret)
    return value


def is_for_production(template: Template) -> bool:
    """Whether folders, globs and plans include it: all but a template with production = false."""
    return _declared(template, _PRODUCTION) not in (False, "false")  # a var file has texts


def _declared(template: Template, name: str) -> Value:
    if name in template.locals:
        return template.locals[name]
    variable = template.variables.get(name)
    return variable.value if variable else None


def _unusable(template: Template, value: Value, *, is_secret: bool) -> TemplateError:
    variable = template.variables.get(_VARIANT)
    place = template.local_locations.get(_VARIANT) or (variable.location if variable else None)
    if is_secret:
        why = "is sensitive, and what it names is public"
    elif value is UNKNOWN:
        why = "is not known before the build"
    else:
        why = f"is {value!r:.60}: {store_keys.VARIANT_RULE}"
    return TemplateError(
        f"{place or template.path}: the variant {why}.",
        hint="Correct it there, or pass --variant.",
        file=place.file if place else str(template.path),
        line=place.line if place else None,
    )
