"""Whether the bucket itself cleans up after uploads that nobody completed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncpipe.stores.s3.calls import FOREIGN, S3Calls
from asyncpipe.stores.s3.errors import code_of


async def abort_rule_days(calls: S3Calls) -> int | None:
    """After how many days a lifecycle rule aborts uploads below the prefix; None: no rule.

    Raises:
        UploadError: the rules cannot be read.
    """
    try:
        answer = await calls.of_bucket("get_bucket_lifecycle_configuration")
    except FOREIGN as error:
        if code_of(error)[1] == "NoSuchLifecycleConfiguration":
            return None
        raise calls.translated(error, "get_bucket_lifecycle_configuration", None) from error
    rules = answer.get("Rules", [])
    days = [_abort_days(rule) for rule in rules if _covers(rule, calls.prefix)]
    return min((number for number in days if number), default=None)


def _covers(rule: Mapping[str, Any], prefix: str) -> bool:
    """Whether a lifecycle rule is in force for every key below ``prefix``."""
    # a rule that aborts uploads may be bound by a prefix only: S3 refuses tags and sizes there
    bound = str(rule.get("Prefix", "") or rule.get("Filter", {}).get("Prefix", ""))
    return rule.get("Status") == "Enabled" and prefix.startswith(bound)


def _abort_days(rule: Mapping[str, Any]) -> int | None:
    """After how many days a lifecycle rule aborts incomplete uploads, None when it does not."""
    days = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
    return int(days) if days else None
