"""XML-RPC as XAPI speaks it; what a host answers is hostile until proven otherwise.

Own code instead of the ``XenAPI`` package: that one blocks, cannot be cancelled, accepts any
certificate by default and parses with entities.
"""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.parsers.expat import ExpatError

from defusedxml.common import DefusedXmlException
from defusedxml.xmlrpc import DefusedExpatParser

from asyncpipe.errors import HostError
from asyncpipe.text.safe import printable

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024  # all VM records of a large pool are a few MiB


class Refusal(Exception):  # noqa: N818 - XAPI's own word is ErrorDescription
    """XAPI's ErrorDescription: a code and its parameters."""

    def __init__(self, description: Sequence[str]) -> None:
        super().__init__(description[0])
        self.code = description[0]
        self.parameters = tuple(description[1:])


def encode(method: str, arguments: Sequence[Any]) -> bytes:
    """One call; integers are strings in XAPI."""
    return xmlrpc.client.dumps(tuple(arguments), methodname=method).encode()


def decode(body: bytes) -> Any:
    """The value of an answer.

    Raises:
        Refusal: XAPI says why not.
        HostError: what came is no answer of XAPI.
    """
    unmarshaller = xmlrpc.client.Unmarshaller()  # dates stay DateTime: XAPI writes several forms
    try:
        parser = DefusedExpatParser(unmarshaller, forbid_dtd=True)
        parser.feed(body)
        parser.close()
        (answer,) = unmarshaller.close()
    except xmlrpc.client.Fault as fault:
        raise HostError(f"The host answered with a fault: {printable(fault.faultString)}") from None
    except (
        ArithmeticError,
        DefusedXmlException,
        ExpatError,
        LookupError,
        TypeError,
        ValueError,
        xmlrpc.client.Error,
    ) as error:
        raise HostError(
            f"What answered does not speak XAPI ({type(error).__name__}).",
            hint="Check the address of the host and its port.",
        ) from error
    return _value_of(answer)


def _value_of(answer: Any) -> Any:
    if isinstance(answer, Mapping) and answer.get("Status") == "Success" and "Value" in answer:
        return answer["Value"]
    description = answer.get("ErrorDescription") if isinstance(answer, Mapping) else None
    if isinstance(description, list) and description:
        raise Refusal([str(word) for word in description])
    raise HostError(
        "What answered speaks XML-RPC, but is not XAPI.", hint="Check the address and its port."
    )
