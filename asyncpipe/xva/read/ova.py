"""ova.xml -> what the rules and the catalogue need, as a stream and with bounds.

The document is an XML-RPC value: ``version`` and ``objects``, a list of {class, id, snapshot}
(xen-api ``importexport.ml``). Only the fields named here are kept; the rest, which may hold
secrets (vTPM contents, xenstore data), is dropped while it is read.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from asyncpipe.text.safe import printable
from asyncpipe.xva.read.ova_facts import OvaChecker, OvaFacts, OvaObject
from asyncpipe.xva.reject import RejectError

MAX_OVA_BYTES: Final = 16 * 1024 * 1024
_MAX_DEPTH: Final = 200
_STEP_BYTES: Final = 64 * 1024
_MAX_MARKUP_BYTES: Final = 4 * _STEP_BYTES  # expat looks at all of an unfinished tag at each step
_MAX_OBJECTS: Final = 20_000
_MAX_VALUE_CHARS: Final = 4096  # of one kept value; what is longer is cut
_MEMBER: Final = "ova.xml"
_TAGS: Final = frozenset(
    [
        "value",
        "struct",
        "member",
        "name",
        "array",
        "data",
        "boolean",
        "int",
        "i4",
        "i8",
        "string",
        "double",
        "dateTime.iso8601",
        "nil",
        "base64",
    ]
)
_KEPT: Final = frozenset(
    [
        "uuid",
        "name_label",
        "name_description",
        "VCPUs_max",
        "VCPUs_at_startup",
        "memory_static_max",
        "is_a_template",
        "is_a_snapshot",
        "is_control_domain",
        "type",
        "empty",
        "userdevice",
        "VDI",
        "SR",
        "content_type",
        "virtual_size",
        "network",
    ]
)
_ITEM: Final = "[]"


class OvaParser:
    """Takes ova.xml in pieces; ``finish`` gives the facts or rejects."""

    def __init__(self, offset_bytes: int) -> None:
        self._offset_bytes = offset_bytes  # where the member's data begins
        self._pending = bytearray()
        self._parsed_bytes = 0
        self._keys: list[str] = []  # keys from the root to where the parser stands
        self._depth = 0
        self._text: list[str] = []
        self._text_chars = 0
        self._scalar = False
        self._object = OvaObject()
        self._objects: list[OvaObject] = []
        self._version: dict[str, str] = {}
        self._seen_objects = False
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes; they are parsed in steps of one size, whatever they come in.

        Raises:
            RejectError: ova-xml, ova-dtd, ova-not-xmlrpc, ova-too-big.
        """
        self._pending += data
        while len(self._pending) >= _STEP_BYTES:
            self._parse(bytes(self._pending[:_STEP_BYTES]), final=False)
            del self._pending[:_STEP_BYTES]

    def finish(self) -> OvaFacts:
        """Close the document and check what it says.

        Raises:
            RejectError: the codes of ``feed``, ova-fields, ova-dangling, ova-export-vsn.
        """
        self._parse(bytes(self._pending), final=True)
        if not self._version or not self._seen_objects:
            raise self._reject(
                "ova-not-xmlrpc",
                "ova.xml has no version and objects: it is not the description that xapi writes",
            )
        return OvaChecker(self._version, self._objects, self._offset_bytes).facts()

    def _parse(self, data: bytes, *, final: bool) -> None:
        self._parsed_bytes += len(data)
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            text = expat.ErrorString(error.code) or "not well-formed"
            where = f"line {error.lineno}, column {error.offset + 1}"
            message = f"ova.xml is damaged: {text} at {where}"
            raise self._reject("ova-xml", message) from error
        except (ValueError, LookupError) as error:  # an encoding that python does not know
            raise self._reject("ova-xml", f"ova.xml cannot be decoded: {error}") from error
        unfinished_bytes = self._parsed_bytes - self._parser.CurrentByteIndex
        if not final and unfinished_bytes > _MAX_MARKUP_BYTES:
            raise self._reject(
                "ova-too-big",
                f"ova.xml has a tag or a comment of more than {_MAX_MARKUP_BYTES:,} bytes",
            )

    def _reject(self, code: str, message: str) -> RejectError:
        offset_bytes = self._offset_bytes + max(0, self._parser.CurrentByteIndex)
        return RejectError(code, offset_bytes, message, member=_MEMBER)

    def _doctype(self, *_: object) -> None:
        raise self._reject(
            "ova-dtd", "ova.xml declares a document type, which xapi never writes and never reads"
        )

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if tag not in _TAGS or (self._depth == 1 and tag != "value"):
            raise self._reject(
                "ova-not-xmlrpc",
                f"ova.xml holds <{printable(tag, 60)}> where an XML-RPC value must be: it is not "
                "the description that xapi writes (an OVF or a version-1 XVA?)",
            )
        if self._depth > _MAX_DEPTH:
            raise self._reject("ova-too-big", f"ova.xml is nested deeper than {_MAX_DEPTH} levels")
        if tag == "struct":
            self._enter("")
        elif tag == "array":
            self._enter(_ITEM)
        elif tag in {"value", "name"}:
            self._scalar = True
            self._clear()

    def _enter(self, key: str) -> None:
        self._scalar = False
        if self._keys == ["objects", _ITEM]:
            self._object = OvaObject()
        self._keys.append(key)
        if self._keys == ["objects", _ITEM]:
            self._seen_objects = True

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "name":
            if self._keys:
                self._keys[-1] = "".join(self._text).strip()
        elif tag in {"struct", "array"}:
            self._keys.pop()
            self._scalar = False
            if tag == "struct" and self._keys == ["objects", _ITEM]:
                self._keep_object()
        elif tag == "value" and self._scalar:
            self._keep_scalar("".join(self._text))
            self._scalar = False
        if tag in {"name", "value"}:
            self._clear()

    def _clear(self) -> None:
        self._text.clear()
        self._text_chars = 0

    def _characters(self, text: str) -> None:
        if self._text_chars < _MAX_VALUE_CHARS:
            self._text.append(text[: _MAX_VALUE_CHARS - self._text_chars])
            self._text_chars += len(text)

    def _keep_scalar(self, text: str) -> None:
        match self._keys:
            case ["version", key] if len(self._version) < 100:
                self._version[key] = text.strip()
            case ["objects", "[]", "class"]:
                self._object.kind = text.strip()
            case ["objects", "[]", "id"]:
                self._object.reference = text.strip()
            case ["objects", "[]", "snapshot", key] if key in _KEPT:
                self._object.fields[key] = text
            case ["objects", "[]", "snapshot", "HVM_boot_params", "firmware"]:
                self._object.fields["firmware"] = text.strip()
            case _:
                pass

    def _keep_object(self) -> None:
        if len(self._objects) >= _MAX_OBJECTS:
            raise self._reject("ova-too-big", f"ova.xml lists more than {_MAX_OBJECTS} objects")
        self._objects.append(self._object)
