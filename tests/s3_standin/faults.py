"""What the stand-in can be told to do wrong; each rule counts the requests it has met."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """How a rule goes wrong."""

    ERROR = "error"  # refuse with status and code, having done nothing
    ERROR_IN_200 = "error-in-200"  # Complete: status 200, then an error in the body
    LOST_ANSWER = "lost-answer"  # do it, then cut the connection
    CUT_ANSWER = "cut-answer"  # send after_bytes of the object, then cut the connection
    RESET_BODY = "reset-body"  # take after_bytes of the body, then cut the connection
    STALL_BODY = "stall-body"  # take after_bytes of the body, then nothing for seconds
    SLOW = "slow"  # do it, answer seconds later (Complete: white space meanwhile)
    FLIP_BYTE = "flip-byte"  # store the body with one byte changed, behind every check


STATUS_OF = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "ExpiredToken": 400,
    "RequestTimeTooSkewed": 403,
    "AccessDenied": 403,
    "BadDigest": 400,
    "ConditionalRequestConflict": 409,
    "NoSuchUpload": 404,
    "RequestTimeout": 400,
}


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault: meets requests of ``operation`` (S3's name), ``times`` of them after ``skip``."""

    kind: Kind
    operation: str
    times: int = 1
    skip: int = 0
    part_number: int | None = None
    code: str = "InternalError"
    committed: bool = False  # ERROR_IN_200: the object is there all the same
    after_bytes: int = 0
    seconds: float = 0.0

    def matches(self, operation: str, part_number: int | None) -> bool:
        """Tell whether the rule is about such a request at all."""
        return operation == self.operation and self.part_number in {None, part_number}


@dataclass(slots=True)
class Faults:
    """Rules in order; the first that still applies to a request is used up by one."""

    rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, rule: Rule) -> None:
        """Add a rule while the server runs."""
        with self._lock:
            self.rules.append(rule)

    def take(self, operation: str, part_number: int | None) -> Rule | None:
        """Return the rule that this request meets, and count it."""
        with self._lock:
            for rule in self.rules:
                if rule.times > 0 and rule.matches(operation, part_number):
                    if rule.skip > 0:
                        rule.skip -= 1
                        continue
                    rule.times -= 1
                    return rule
        return None


def refuse(
    operation: str, code: str, *, times: int = 1, skip: int = 0, part_number: int | None = None
) -> Rule:
    """Refuse with an S3 error code: SlowDown, InternalError, ExpiredToken, BadDigest, ..."""
    return Rule(
        kind=Kind.ERROR,
        operation=operation,
        code=code,
        times=times,
        skip=skip,
        part_number=part_number,
    )


def error_in_200(*, committed: bool, times: int = 1, code: str = "InternalError") -> Rule:
    """Let Complete answer 200 with an error in its body."""
    return Rule(
        kind=Kind.ERROR_IN_200,
        operation="CompleteMultipartUpload",
        committed=committed,
        times=times,
        code=code,
    )


def lose_answer(operation: str, *, times: int = 1, part_number: int | None = None) -> Rule:
    """Do what was asked, then cut the connection instead of answering."""
    return Rule(kind=Kind.LOST_ANSWER, operation=operation, times=times, part_number=part_number)


def reset_body(
    *, after_bytes: int = 100_000, times: int = 1, skip: int = 0, part_number: int | None = None
) -> Rule:
    """Cut the connection in the middle of a part."""
    return Rule(
        kind=Kind.RESET_BODY,
        operation="UploadPart",
        after_bytes=after_bytes,
        times=times,
        skip=skip,
        part_number=part_number,
    )


def stall_body(
    seconds: float, *, after_bytes: int = 100_000, times: int = 1, part_number: int | None = None
) -> Rule:
    """Stop reading in the middle of a part for ``seconds``, then cut the connection."""
    return Rule(
        kind=Kind.STALL_BODY,
        operation="UploadPart",
        after_bytes=after_bytes,
        seconds=seconds,
        times=times,
        part_number=part_number,
    )


def answer_late(operation: str, seconds: float, *, times: int = 1) -> Rule:
    """Do what was asked and answer ``seconds`` later."""
    return Rule(kind=Kind.SLOW, operation=operation, seconds=seconds, times=times)


def flip_byte(part_number: int, *, times: int = 1) -> Rule:
    """Store a part with its first byte changed, although its checksum was right."""
    return Rule(kind=Kind.FLIP_BYTE, operation="UploadPart", part_number=part_number, times=times)
