"""Texts that are longer than an entry of an index."""

from __future__ import annotations

from random import Random

LENGTHS = (3_500, 65_536)  # characters: more than an index entry holds; as many as a field of usage may have


def long_text(length: int, seed: object = 0, *, first: int = 0x20000, last: int = 0x2A6D0) -> str:
    """Return a text that no compression makes short, unless told otherwise of characters of four bytes each."""
    return "".join(map(chr, Random(f"{seed}").choices(range(first, last), k=length)))
