"""Size or estimate -> part plan; pure."""

from __future__ import annotations

from dataclasses import dataclass

from asyncpipe.errors import UploadError
from asyncpipe.model.store import StoreCapabilities
from asyncpipe.model.transfer import TransferOptions

MIB = 1024 * 1024
# What a growing file is planned for when nobody knows: the most that 10,000 parts of 16 MiB carry.
# One that outgrows it is sent again when its size is known.
UNKNOWN_SIZE_BYTES = 150 * 1024 * MIB
SLOTS_AIMED_AT = 4  # a part costs the client as much as 5 MB of it do: few large ones
SMALLEST_PART_BYTES = 5 * MIB
LARGEST_DEFAULT_PART_BYTES = 32 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One range of the source; numbers begin at 1."""

    number: int
    offset_bytes: int
    size_bytes: int

    @property
    def end_bytes(self) -> int:
        """Offset of the first byte after the part."""
        return self.offset_bytes + self.size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """Equal parts, the last one shorter; decided before the first part is sent."""

    part_size_bytes: int
    max_parts: int

    @property
    def capacity_bytes(self) -> int:
        """The largest source that this plan can carry."""
        return self.part_size_bytes * self.max_parts

    def part(self, number: int, available_bytes: int) -> Part:
        """Return part ``number`` of a source of which ``available_bytes`` are there.

        Raises:
            UploadError: the source has outgrown the plan.
        """
        offset_bytes = (number - 1) * self.part_size_bytes
        if number > self.max_parts:
            raise UploadError(
                f"the file grew beyond {self.capacity_bytes} bytes, the most that"
                f" {self.max_parts} parts of {self.part_size_bytes} bytes can carry",
                hint="start again with a larger --part-size",
            )
        size_bytes = min(self.part_size_bytes, available_bytes - offset_bytes)
        return Part(number=number, offset_bytes=offset_bytes, size_bytes=size_bytes)


def plan_parts(
    size_bytes: int | None,
    options: TransferOptions,
    capabilities: StoreCapabilities,
    *,
    grows: bool = False,
) -> PartPlan:
    """Choose a part size, in whole MiB, that carries ``size_bytes`` within the store's limits.

    Args:
        size_bytes: the size, the estimate of a growing file, or None when nobody knows.
        options: the wanted part size and the memory to live in.
        capabilities: the store's limits on parts and objects.
        grows: ``size_bytes`` is an estimate; a sixteenth is added to it.

    Raises:
        UploadError: the object is larger than the store takes.
    """
    wanted_bytes = _planned_bytes(size_bytes, capabilities, grows=grows)
    needed_bytes = whole_mib(-(-wanted_bytes // capabilities.max_parts))
    chosen_bytes = options.part_size_bytes or _default_part_bytes(options.max_memory_bytes)
    if size_bytes is None:  # a guess must not cost more memory than there is
        needed_bytes = min(needed_bytes, max(chosen_bytes, options.max_memory_bytes // 4))
    part_bytes = max(whole_mib(chosen_bytes), needed_bytes, capabilities.min_part_bytes)
    return PartPlan(
        part_size_bytes=min(part_bytes, capabilities.max_part_bytes),
        max_parts=capabilities.max_parts,
    )


def _planned_bytes(size_bytes: int | None, capabilities: StoreCapabilities, *, grows: bool) -> int:
    most_bytes = min(
        capabilities.max_object_bytes, capabilities.max_parts * capabilities.max_part_bytes
    )
    if size_bytes is None:
        return min(UNKNOWN_SIZE_BYTES, most_bytes)
    if size_bytes > most_bytes:
        raise UploadError(
            f"the file has {size_bytes} bytes, the store takes objects of at most {most_bytes}",
            hint="compress the export, or use a store with larger limits",
        )
    return min(size_bytes + size_bytes // 16, most_bytes) if grows else size_bytes


def _default_part_bytes(max_memory_bytes: int) -> int:
    share_bytes = max_memory_bytes // SLOTS_AIMED_AT // MIB * MIB
    return max(SMALLEST_PART_BYTES, min(share_bytes, LARGEST_DEFAULT_PART_BYTES))


def whole_mib(size_bytes: int) -> int:
    """Round up to whole MiB."""
    return -(-size_bytes // MIB) * MIB
