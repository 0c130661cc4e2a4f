"""Blocks that bodies are received into are used again, but never while somebody looks at them."""

from __future__ import annotations

from asyncpipe.stores.s3.wire.memory import BLOCK_BYTES, Blocks


def test_a_block_is_used_again_only_when_its_last_view_is_gone() -> None:
    blocks = Blocks()
    first = blocks.take()
    first[:4] = b"keep"
    piece = first[:4][:2]  # a view of a view
    del first
    other = blocks.take()
    other[:4] = b"XXXX"
    assert bytes(piece) == b"ke"
    del piece
    again = blocks.take()
    assert bytes(again[:4]) == b"keep", "the first block, whose views are gone"
    assert len(again) == len(other) == BLOCK_BYTES


def test_more_blocks_than_are_kept_are_all_different() -> None:
    blocks = Blocks()
    held = [blocks.take() for _ in range(9)]
    for number, block in enumerate(held):
        block[:1] = bytes([number])
    assert [block[0] for block in held] == list(range(9))
