"""structlog, loaded without rich, which takes 25 ms and 5 MiB to load.

It would draw tracebacks with rich; ours are text before they reach it.
"""

from __future__ import annotations

import sys
from typing import Any, Final

_WITHOUT: Final = "rich"
_modules: dict[str, Any] = sys.modules
_modules.setdefault(_WITHOUT, None)  # "cannot be imported"
try:
    import structlog
finally:
    if _modules[_WITHOUT] is None:
        del _modules[_WITHOUT]

__all__ = ["structlog"]
