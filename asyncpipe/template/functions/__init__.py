"""The functions of Packer 1.16, all of them and no others; ``files`` adds those that read files.

``try``, ``can`` and ``convert`` take expressions and are part of the evaluator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from asyncpipe.template.functions import codecs, groups, text, times
from asyncpipe.template.functions.spec import Function

TABLE: Final[Mapping[str, Function]] = {
    **codecs.FUNCTIONS,
    **groups.FUNCTIONS,
    **text.FUNCTIONS,
    **times.FUNCTIONS,
}
