"""S3; botocore is loaded here without awscrt, which takes 50 ms and 6 MiB to load.

It would be used for signatures of version 4a and checksums of the SDK's own, and neither is ever
asked for: our CRC64NVME is made in `system.crc`, which loads awscrt with the first sum.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

_WITHOUT: Final = "awscrt.auth"
_modules: dict[str, Any] = sys.modules
_modules.setdefault(_WITHOUT, None)  # "cannot be imported"
try:
    import_module("botocore.compat")
finally:
    if _modules[_WITHOUT] is None:
        del _modules[_WITHOUT]
