"""S3; botocore is loaded here without awscrt, which takes 50 ms and 6 MiB to load, then aiohttp.

It would be used for signatures of version 4a and checksums of the SDK's own, and neither is ever
asked for: our CRC64NVME is made in `system.crc`, which loads awscrt with the first sum.
"""

from __future__ import annotations

from importlib import import_module

from asyncpipe.system import without

with without("awscrt.auth"):
    import_module("botocore.compat")
import_module("asyncpipe.stores.http_client")
