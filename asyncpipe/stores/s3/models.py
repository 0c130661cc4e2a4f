"""Reads botocore's models of S3 in half of botocore's time and memory.

botocore lists the files of all 400 services first, and keeps each object in an OrderedDict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zlib import MAX_WBITS, decompress

import msgspec
from aiobotocore.session import AioSession
from botocore.loaders import JSONFileLoader, Loader

_GZIP: Final = MAX_WBITS | 16  # zlib.h, inflateInit2: a gzip header follows
_UNPACKED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    ".json": bytes,
    ".json.gz": lambda packed: decompress(packed, _GZIP),
}
_DOCUMENTATION: Final = b'"documentation":"'  # as botocore's own files have it


class _Files(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        """Return the content of a file whose suffix is not given; None without such a file."""
        for suffix, unpacked in _UNPACKED.items():
            file = Path(file_path + suffix)
            if file.is_file():
                return msgspec.json.decode(_undocumented(unpacked(file.read_bytes())))
        return None


def _undocumented(model: bytes) -> bytes:
    """Empty what is for people: two thirds of a model, and 2 MiB once it is decoded."""
    first, *others = model.split(_DOCUMENTATION)
    return _DOCUMENTATION.join([first, *(text[_end_of_string(text) :] for text in others)])


def _end_of_string(text: bytes) -> int:
    """Find the quote that ends a string of JSON: one behind an even number of backslashes."""
    at = text.index(b'"')
    while (at - len(text[:at].rstrip(b"\\"))) % 2:
        at = text.index(b'"', at + 1)
    return at


class ModelLoader(Loader):
    """botocore's loader; whether a service has a model of some type shows when that is read."""

    FILE_LOADER_CLASS = _Files

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's
        """Return the services of which there is any model."""
        folders = filter(Path.is_dir, map(Path, self.search_paths))
        return sorted({entry.name for folder in folders for entry in folder.iterdir()})


def use_model_loader(session: AioSession) -> None:
    """Let ``session`` read models from where it would look for them itself."""
    paths = list(session.get_component("data_loader").search_paths)
    loader = ModelLoader(extra_search_paths=paths, include_default_search_paths=False)
    session.register_component("data_loader", loader)
