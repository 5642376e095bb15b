r"""How long a text would become, found before it is made: ten characters and a few steps can make a hundred megabytes.

A step that would make a text longer than a field may be leaves the text as it was, and the row breaks the rule
``field_must_not_be_too_long``. All lengths are in characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import polars as pl

from ratemill.mediation.growth import CHARACTER_BYTES_MAX

TOO_LONG = "field_must_not_be_too_long"
OVERLONG = "\x00"  # stands for a text that is too long: no text of a profile or a list has a NUL

# What a replacement of the table engine refers to: `$$` is a dollar sign, `$name` takes as many characters as it can.
_REFERENCE = re.compile(r"\$(?:(\$)|([0-9A-Za-z_]+)|\{([^}]*)\})")


def longest(texts: pl.Series) -> int:
    """Return a bound on the length of the longest text, quickly: its bytes."""
    found = texts.str.len_bytes().max()
    return found if isinstance(found, int) else 0


def within(
    texts: pl.Series, lengths: pl.Series, change: Callable[[pl.Series], pl.Series], limit: int
) -> tuple[pl.Series, pl.Series | None]:
    """Return the texts changed, and where they were not, because ``lengths``, those of the results, are over the limit."""
    over = (lengths > limit).fill_null(value=False)
    if not over.any():
        return change(texts), None
    # The engine changes what stands below a null too: texts that are over must not be there at all.
    short = change(texts.filter(~over))
    if not short.len():
        return texts, over
    places = ((~over).cast(pl.Int64).cum_sum() - 1).clip(0)
    return short.gather(places).zip_with(~over, texts), over


def fits(texts: pl.Series, longest_result: int, limit: int, room: int | None) -> bool:
    """Return whether results of at most ``longest_result`` bytes are within the limit of each and the room for all."""
    return longest_result <= limit and (room is None or longest_result * texts.len() <= room)


def substituted_lengths(texts: pl.Series, old: str, new: str, limit: int, room: int | None) -> pl.Series | None:
    """Return the lengths after each ``old`` became ``new``; None if none can be over the limit, nor all over the room."""
    if fits(texts, longest(texts) * max(1, len(new.encode())), limit, room):
        return None
    count = texts.str.count_matches(old, literal=True).cast(pl.Int64)
    return texts.str.len_chars().cast(pl.Int64) + count * (len(new) - len(old))


def replaced_lengths(
    texts: pl.Series, pattern: str, replacement: str, limit: int, room: int | None
) -> pl.Series | None:
    """Return the lengths after each match became ``replacement``; None if none can be over the limit, nor all over the room.

    Each part of the replacement is counted by itself: nothing longer than the text is made.
    """
    literal_chars, references = _parts(replacement)
    most = longest(texts)
    literal_bytes = literal_chars if replacement.isascii() else literal_chars * CHARACTER_BYTES_MAX
    if fits(texts, most + (most + 1) * literal_bytes + most * references.total(), limit, room):
        return None
    rest = _chars(texts.str.replace_all(pattern, ""))
    matches = _chars(texts.str.replace_all(pattern, "-")) - rest
    lengths = rest + matches * literal_chars
    for name, times in references.items():
        lengths += (_chars(texts.str.replace_all(pattern, f"${{{name}}}")) - rest) * times
    return lengths


def joined_lengths(columns: list[pl.Series], separator: str, limit: int) -> pl.Series | None:
    """Return the lengths of the texts joined, absent ones left out; None if none can be over the limit."""
    if sum(map(longest, columns)) + len(separator) * len(columns) <= limit:
        return None
    lengths = pl.DataFrame([_chars(column).alias(str(at)) for at, column in enumerate(columns)])
    texts = pl.sum_horizontal(pl.all().is_not_null())
    total = pl.sum_horizontal(pl.all().fill_null(0)) + (texts.cast(pl.Int64) - 1).clip(0) * len(separator)
    return lengths.select(total).to_series()


def _chars(texts: pl.Series) -> pl.Series:
    return texts.str.len_chars().cast(pl.Int64)


def _parts(replacement: str) -> tuple[int, Counter[str]]:
    """Return how many characters of a replacement are literal, and how often it refers to each group."""
    literal_chars, references = len(replacement), Counter[str]()
    for found in _REFERENCE.finditer(replacement):
        literal_chars -= len(found[0])
        if found[1]:
            literal_chars += 1
        else:
            references[found[2] or found[3]] += 1
    return literal_chars, references
