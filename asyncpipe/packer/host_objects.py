"""What the xenserver plugin's lines say about the host: what it found there, made and removed.

Lines of packer-plugin-xenserver 0.7 to 0.11 (builder/xenserver/common/*.go). A guest can print any
text, so each line counts only in the phases in which no code of the guest has run yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from asyncpipe.model.build import HostObjects, IsoSource, Phase, UploadedImage
from asyncpipe.packer.lines import PREFIXED
from asyncpipe.packer.phases import PhaseTracker, phase_of

_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BEFORE_BOOT: Final = frozenset({Phase.START, Phase.ISO_DOWNLOAD, Phase.ISO_UPLOAD, Phase.CREATE})
_AT_THE_END: Final = frozenset({Phase.EXPORT, Phase.POST_PROCESS, Phase.CLEANUP})
_CLEANING: Final = re.compile(r"Destroying V(?:M|DI \d+|DI)$|Destroyed VDI '|Deleting output dir")
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z ")  # of build.log
_LONGEST_URL_BYTES: Final = 1200
_SESSION: Final = re.compile(
    rb"(?:PUT '|Getting XVA )https://[^\s']{1,1000}?[?&]session_id="
    rb"(OpaqueRef(?::|%3A)[0-9a-f-]{36})(?![0-9a-f-])"
)
_MOST: Final = 20  # of each kind: a build makes one VM and up to three images


class HostLines:
    """Reads the lines of one build; ``objects`` is what is known so far."""

    def __init__(self) -> None:
        self.objects = HostObjects()
        # its own: that we stop Packer ends no phase of the plugin
        self._tracker = PhaseTracker(at_s=0.0, at_utc="")
        self._cleaning = ""  # the clean-up step that a following error line belongs to

    @property
    def is_attentive(self) -> bool:
        """Whether the next line matters whatever it contains."""
        return bool(self._cleaning)

    def take(self, text: str, *, said: bool) -> bool:
        """Take a line less Packer's prefix, ``said`` with ``==>``; return whether it was new."""
        before, phase = self.objects, self._tracker.phase
        if phase in _BEFORE_BOOT:
            self._take_beginning(text)
        elif phase in _AT_THE_END or self._cleaning or _CLEANING.match(text):
            self._take_ending(text)
        entered = phase_of(text) if said else None
        if entered:
            self._tracker.enter(entered, at_s=0.0, at_utc="")
        return self.objects is not before

    def _take_beginning(self, text: str) -> None:
        for pattern, take in _BEGINNINGS:
            match = pattern.fullmatch(text)
            if match:
                self.objects = take(self.objects, match[1] if match.re.groups else "")
                return
        if self._cleaning or _CLEANING.match(text):
            self._take_ending(text)

    def _take_ending(self, text: str) -> None:
        """A step of the clean-up says what it does; the line after it is its error, if any."""
        if _CLEANING.match(text):
            self._cleaning = text
            if text.startswith("Destroy") and not self.objects.cleaned_up:
                self.objects = replace(self.objects, cleaned_up=True)
            return
        failed = re.match(r"Can't (?:get|destroy) VDI '", text)
        if (failed or self._cleaning) and not text.startswith(("Build '", 'Step "')):
            said = text if failed else f"{self._cleaning}: {text}"
            problems = (*self.objects.cleanup_problems, said)[:_MOST]
            self.objects = replace(self.objects, cleanup_problems=problems)
        self._cleaning = ""


class SessionsHeard:
    """Finds the XAPI sessions that the plugin opens and never ends, in output not yet masked.

    A reference is as good as a password: it serves to end that session, and nothing else.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._count = 0

    def take(self, data: bytes) -> list[str]:
        """Take a piece of the output; the references that end in it."""
        seen, before = self._tail + data, len(self._tail)
        self._tail = seen[-_LONGEST_URL_BYTES:]
        found = [match[1] for match in _SESSION.finditer(seen) if match.end() > before]
        new = found[: _MOST - self._count]  # a build has one; a guest may print what looks like it
        self._count += len(new)
        return [unquote(one.decode("ascii")) for one in new]


def read_lines(lines: Iterable[str]) -> HostObjects:
    """What the lines of a build.log (or of Packer) say of the host."""
    reader = HostLines()
    for line in lines:
        match = PREFIXED.match(_STAMP.sub("", line, count=1))
        if match:
            reader.take(match["text"], said=match["mark"] == "==>")
    return reader.objects


def _session(known: HostObjects, _: str) -> HostObjects:
    return replace(known, session=True)


def _trying(known: HostObjects, url: str) -> HostObjects:
    return replace(known, iso=IsoSource(url=url))


def _retrieved(known: HostObjects, path: str) -> HostObjects:
    if known.iso is None or known.iso.path:
        return known
    return replace(known, iso=replace(known.iso, path=path))


def _sought(known: HostObjects, name: str) -> HostObjects:
    return replace(known, iso_vdi_name=name)


def _uploading(known: HostObjects, name: str) -> HostObjects:
    image = UploadedImage(name=name)
    return replace(known, uploads=(*known.uploads, image)[:_MOST])


def _putting(known: HostObjects, url: str) -> HostObjects:
    """The PUT names the VDI and the task by reference: unique, where names are not."""
    if not known.uploads:
        return known
    query = parse_qs(urlsplit(url).query)
    vdi_ref, task_ref = (query.get(name, [""])[0] for name in ("vdi", "task_id"))
    image = replace(known.uploads[-1], vdi_ref=vdi_ref, task_ref=task_ref)
    return replace(known, uploads=(*known.uploads[:-1], image))


def _instance(known: HostObjects, uuid: str) -> HostObjects:
    return known if known.vm_uuid else replace(known, vm_uuid=uuid.lower())


def _disk(known: HostObjects, name: str) -> HostObjects:
    return replace(known, disk_names=(*known.disk_names, name)[:_MOST])


def _creating(known: HostObjects, _: str) -> HostObjects:
    return replace(known, creating=True)


_BEGINNINGS: Final = tuple(
    (re.compile(pattern), take)
    for pattern, take in (
        (r"XAPI client session established", _session),
        (r"Trying (\S+)", _trying),
        (r"\S+ => (/.+)", _retrieved),
        (r"Attemping to find VDI '(.+)'", _sought),
        (r"Step: Upload VDI '(.+)'", _uploading),
        (r"PUT '(\S+)'", _putting),
        (r"Step: Create Instance", _creating),
        (r"Creating disk \d+ \((.+)\) with size .*", _disk),
        (rf"Created instance '({_UUID})'", _instance),
    )
)
#: The least of these, and of what the clean-up says, behind Packer's prefix.
TELLING: Final = (
    r": XAPI client session established|: Trying \S| => /|: Attemping to find VDI '",
    r": Step: Upload VDI '|: PUT '|: Step: Create Instance|: Creating disk \d|: Created instance '",
    r": Destroy(?:ing|ed) V|: Deleting output dir|: Can't (?:get|destroy) VDI '",
)
