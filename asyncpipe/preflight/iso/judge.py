"""A template's ISO against what its vendor publishes now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import unquote, urljoin

from asyncpipe import errors
from asyncpipe.model.check import UrlSeen
from asyncpipe.ports import ProcessRunner
from asyncpipe.preflight.iso import signed, sums
from asyncpipe.preflight.iso.medium import Medium
from asyncpipe.preflight.iso.signed import Fetched, Keys, Signed
from asyncpipe.preflight.iso.vendors import OTHER, Image, image_of, image_of_any
from asyncpipe.text.format import size_text

_MAX_LIST_BYTES: Final = 4 * 1024 * 1024
_FOLDERS: Final = ("archive", "release")  # cdimage.debian.org: past and present releases


class Mirrors(Protocol):
    """Looks at images and fetches lists (``cli/run/mirrors.py``); every failure is a value."""

    async def look(self, url: str) -> UrlSeen:
        """Ask for an image without fetching it."""
        ...

    async def fetch(self, url: str, *, max_bytes: int) -> Fetched:
        """Fetch a list of sums, or the page of a folder."""
        ...


class IsoState(StrEnum):
    """What became of an ISO; each but the first two has an exit code of its own."""

    CURRENT = "current"
    UNKNOWN = "no list known"  # it is there, and nothing says what it should be
    NEWER = "newer"
    GONE = "gone"
    CHANGED = "changed"
    WRONGLY_SIGNED = "wrongly signed"
    UNREACHABLE = "unreachable"


# The gravest first: several results end with the first of these that occurs.
EXIT_CODES: Final = {
    IsoState.WRONGLY_SIGNED: errors.EXIT_ISO_WRONGLY_SIGNED,
    IsoState.CHANGED: errors.EXIT_ISO_CHANGED,
    IsoState.GONE: errors.EXIT_ISO_GONE,
    IsoState.UNREACHABLE: errors.EXIT_ISO_UNREACHABLE,
    IsoState.NEWER: errors.EXIT_ISO_NEWER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoResult:
    """One ISO of a template: what the vendor says of it, and how far that is proved."""

    medium: Medium
    state: IsoState
    message: str
    vendor: str = ""
    signed: Signed = Signed.UNCHECKED
    newer_url: str = ""
    newer_sum_hex: str = ""  # of the kind that the template states; "" where it states none


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """A list of sums as it was read."""

    url: str
    found: dict[str, str]
    sizes: dict[str, int] = field(default_factory=dict)
    signed: Signed
    why: str
    problem: str = ""  # why there is no verdict
    is_gone: bool = False


def exit_code_of(results: Iterable[IsoResult]) -> int:
    """The code of the gravest result, 0 where all are current or of no known vendor."""
    states = {result.state for result in results}
    return next((code for state, code in EXIT_CODES.items() if state in states), 0)


class Checker:
    """Compares media with the lists of their vendors; each list is fetched once."""

    def __init__(self, mirrors: Mirrors, runner: ProcessRunner, keys: Keys) -> None:
        self._mirrors = mirrors
        self._runner = runner
        self._keys = keys
        self._fetched: dict[str, Fetched] = {}
        self._seen: dict[str, UrlSeen] = {}

    async def check(self, medium: Medium) -> IsoResult:
        """Say whether ``medium`` is there, what it should be, and what is published in its place.

        Raises nothing of the network.
        """
        image = image_of_any(medium.name)
        seen = await self._look(medium.url)
        if not seen.status:  # its list is on the same server
            return IsoResult(medium=medium, state=IsoState.UNREACHABLE, message=seen.problem)
        listed = await self._list_of(image, medium.url, medium)
        if listed.signed is Signed.WRONG:
            message = f"{listed.url} is not to be believed: {listed.why}"
            return self._result(medium, image, listed, IsoState.WRONGLY_SIGNED, message)
        newer = await self._newer(medium, image, listed, seen)
        if newer is not None:
            return newer
        return self._judge(medium, image, listed, seen)

    def _judge(self, medium: Medium, image: Image, listed: _List, seen: UrlSeen) -> IsoResult:
        """Without anything newer: is it there, and is it the same?"""
        known = listed.found.get(image.name, "")
        state, message = _verdict(medium, image, listed, seen)
        result = self._result(medium, image, listed, state, message)
        if state is IsoState.CHANGED and _differs(medium, known):
            return replace(result, newer_url=medium.url, newer_sum_hex=known)
        return result

    async def _newer(
        self, medium: Medium, image: Image, listed: _List, seen: UrlSeen
    ) -> IsoResult | None:
        """The newest later image that a list names, of this folder or of one beside it.

        Where this folder's list is gone, the same image in another folder counts too.
        """
        found = [(one, medium.url) for one in map(image_of, listed.found) if one]
        found += await self._beside(medium, image)
        urls = {urljoin(beside, one.name): one for one, beside in found}
        later = [
            (one, url)
            for url, one in urls.items()
            if image.is_older_than(one)
            or (listed.is_gone and one.name == image.name and url != medium.url)
        ]
        for one, url in sorted(later, key=lambda each: each[0].numbers, reverse=True):
            of_it = await self._list_of(one, url, replace(medium, sums_url=""))
            if of_it.signed is Signed.WRONG:
                message = f"{of_it.url} is not to be believed: {of_it.why}"
                return self._result(medium, image, of_it, IsoState.WRONGLY_SIGNED, message)
            if one.name in of_it.found:
                return self._found(medium, image, of_it, url, seen)
        return None

    def _found(
        self, medium: Medium, image: Image, of_it: _List, url: str, seen: UrlSeen
    ) -> IsoResult:
        """What a list names in place of the template's image."""
        name = url.rpartition("/")[2]
        state, message = IsoState.NEWER, f"{name} is published"
        if name == image.name:
            state, message = IsoState.GONE, f"it is now at {url}"
        elif seen.is_gone:
            state, message = IsoState.GONE, f"{message}, {image.name} is gone"
        sum_hex = of_it.found[name] if medium.sum_hex else ""
        result = self._result(medium, image, of_it, state, message)
        return replace(result, newer_url=url, newer_sum_hex=sum_hex)

    async def _beside(self, medium: Medium, image: Image) -> list[tuple[Image, str]]:
        """Images in folders of other versions, or in the folder itself where lists are apart."""
        folder = medium.url.rpartition("/")[0]
        if image.vendor.listed_apart:
            names = await self._names(f"{folder}/")
            return [(one, medium.url) for one in map(image_of, names) if one]
        match = re.fullmatch(rf"(.*/)([^/]+)/{re.escape(image.version)}(/.*)", medium.url)
        if match is None or image.vendor is OTHER:
            return []
        before, parent, after = match[1], match[2], match[3].rpartition("/")[0]
        found: list[tuple[Image, str]] = []
        for name in dict.fromkeys((parent, *(_FOLDERS if parent in _FOLDERS else ()))):
            for version in await self._names(f"{before}{name}/"):
                later = image_of(image.name.replace(image.version, version, 1))
                if later is not None and later.version == version:
                    found.append((later, f"{before}{name}/{version}{after}/"))
        return found

    async def _names(self, url: str) -> Sequence[str]:
        fetched = await self._fetch(url)
        return [unquote(name) for name in sums.names_in(fetched.body)]

    async def _list_of(self, image: Image, url: str, medium: Medium) -> _List:
        """The list that the template names, else the first beside the image that fits its sum."""
        beside = [urljoin(url, name.format(name=image.name)) for name in image.vendor.sums]
        read: list[_List] = []
        for candidate in [medium.sums_url] if medium.sums_url else beside:
            listed = await self._read(image, candidate)
            if _fits(listed, image, medium):
                return listed
            read.append(listed)
        named = (one for one in read if image.name in one.found)
        return next(named, next((one for one in read if not one.problem), read[0]))

    async def _read(self, image: Image, url: str) -> _List:
        fetched = await self._fetch(url)
        if fetched.status != 200:
            problem = fetched.problem or f"HTTP {fetched.status}"
            return _List(
                url=url,
                found={},
                signed=Signed.UNCHECKED,
                why="",
                problem=problem,
                is_gone=fetched.is_gone,
            )
        signature, problem = await self._signature(image, url, fetched.body)
        judged = await signed.judge(self._runner, image.vendor, self._keys, fetched.body, signature)
        why = problem or judged.why
        return _List(
            url=url,
            found=sums.read(judged.text),
            sizes=sums.sizes(judged.text),
            signed=judged.state,
            why=why,
        )

    async def _signature(self, image: Image, url: str, body: bytes) -> tuple[bytes | None, str]:
        """The detached signature of a list, or why it is missing."""
        problem = ""
        for ending in () if signed.is_inline(body) else image.vendor.signatures:
            answer = await self._fetch(f"{url}{ending}")
            if answer.status == 200:
                return answer.body, ""
            if not answer.is_gone:
                problem = f"its signature cannot be fetched: {answer.problem or answer.status}"
        return None, problem

    async def _fetch(self, url: str) -> Fetched:
        if url not in self._fetched:
            self._fetched[url] = await self._mirrors.fetch(url, max_bytes=_MAX_LIST_BYTES)
        return self._fetched[url]

    async def _look(self, url: str) -> UrlSeen:
        if url not in self._seen:
            self._seen[url] = await self._mirrors.look(url)
        return self._seen[url]

    @staticmethod
    def _result(
        medium: Medium, image: Image, listed: _List, state: IsoState, message: str
    ) -> IsoResult:
        unproved = listed.signed is Signed.UNCHECKED and not listed.problem and listed.found
        note = f"; the sums were not signature-checked: {listed.why}" if unproved else ""
        return IsoResult(
            medium=medium,
            state=state,
            message=f"{message}{note}",
            vendor=image.vendor.name,
            signed=listed.signed,
        )


def _verdict(medium: Medium, image: Image, listed: _List, seen: UrlSeen) -> tuple[IsoState, str]:
    """The state of an image that nothing newer replaces, and why (pure)."""
    if not 200 <= seen.status < 300:
        return IsoState.GONE if seen.is_gone else IsoState.UNREACHABLE, f"HTTP {seen.status}"
    is_guess = image.vendor is OTHER and not medium.sums_url
    if image.name not in listed.found and is_guess:
        return IsoState.UNKNOWN, f"{_there(seen)}; no list of sums beside it names it"
    if listed.problem and not listed.is_gone:
        return IsoState.UNREACHABLE, f"{listed.url}: {listed.problem}"
    if image.name not in listed.found:
        why = "is gone" if listed.is_gone else "does not name it (any more)"
        return IsoState.GONE, f"{listed.url} {why}"
    return _compared(medium, image, listed, seen)


def _compared(medium: Medium, image: Image, listed: _List, seen: UrlSeen) -> tuple[IsoState, str]:
    """Sum and size of an image that is there and in its list."""
    known, size_bytes = listed.found[image.name], listed.sizes.get(image.name)
    if _differs(medium, known):
        return IsoState.CHANGED, f"the list's sum is {known}, the template's {medium.sum_hex}"
    if size_bytes and seen.size_bytes and size_bytes != seen.size_bytes:
        message = f"the mirror's file has {seen.size_bytes} bytes, by its list it has {size_bytes}"
        return IsoState.CHANGED, message
    newest = "" if image.vendor is OTHER else ", the newest of its series"
    return IsoState.CURRENT, f"{_there(seen)}{newest}, {_sum_text(medium, known)}"


def _fits(listed: _List, image: Image, medium: Medium) -> bool:
    """Whether a list can be compared with the template's sum; a vendor's may lack the image."""
    known = listed.found.get(image.name)
    if known is None:
        return not listed.problem and image.vendor is not OTHER
    return not medium.sum_hex or len(known) == len(medium.sum_hex)


def _there(seen: UrlSeen) -> str:
    return f"is there, {size_text(seen.size_bytes)}" if seen.size_bytes else "is there"


def _sum_text(medium: Medium, known: str) -> str:
    if medium.sums_url:
        return "its sum is listed"
    if not medium.sum_hex:
        return "the template states no SHA-2 sum"
    is_same_kind = len(medium.sum_hex) == len(known)
    return "its sum is the list's" if is_same_kind else "no list has sums of the template's kind"


def _differs(medium: Medium, known: str) -> bool:
    """A sum of one kind says nothing of a sum of another."""
    return len(medium.sum_hex) == len(known) and medium.sum_hex != known
