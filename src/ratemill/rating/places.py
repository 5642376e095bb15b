"""Where a number is: the location with the longest pattern that the number begins with, and the way up from it.

A pattern is the span of texts from itself to the first text that no longer begins with it. Cut at every start and end,
the texts fall into spans in each of which one pattern is the longest; one binary search then finds a number's location,
whatever lengths the patterns have.

The way up is a chain of *nodes*: a location, then the location as a member of its groups (if it is in any), then its
parent in the same way, at last ``ANYWHERE``, where the rates without a location stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

ANYWHERE = 0
NOWHERE = -1
_LAST_CHARACTER = 0x10FFFF
_SURROGATES_START, _SURROGATES_END = 0xD800, 0xE000


@dataclass(frozen=True, slots=True)
class Places:
    """The compiled tree: ``spans`` of texts with the node of each, ``following`` by node, ``locations`` by id."""

    span_starts: pl.Series  # String, sorted, the first is empty
    span_nodes: pl.Series  # Int64, NOWHERE where no pattern fits
    following: pl.Series  # Int64 by node, NOWHERE after ANYWHERE
    location_ids: pl.Series  # Int64 by node, null for ANYWHERE
    names: pl.Series  # String by node
    locations: pl.DataFrame  # location_id, node, member_node (null if in no group)


def compile_places(locations: pl.DataFrame, patterns: pl.DataFrame, members: pl.DataFrame) -> Places:
    """Return the tree of ``locations`` with its ``patterns``; ``members`` are those of the location groups."""
    numbered = _number(locations, members)
    starts, nodes = _spans(patterns.join(numbered.select("location_id", "node"), on="location_id"))
    of_locations = numbered.sort("node")
    of_members = numbered.drop_nulls("member_node").sort("member_node")
    anywhere = pl.Series([None], dtype=pl.Int64)
    return Places(
        span_starts=starts,
        span_nodes=nodes,
        following=pl.concat(
            [
                pl.Series([NOWHERE], dtype=pl.Int64),
                of_locations.select(pl.coalesce("member_node", "parent_node")).to_series(),
                of_members["parent_node"],
            ]
        ),
        location_ids=pl.concat([anywhere, of_locations["location_id"], of_members["location_id"]]),
        names=pl.concat([anywhere.cast(pl.String), of_locations["location"], of_members["location"]]),
        locations=numbered.select("location_id", "node", "member_node"),
    )


def _number(locations: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Give each location a node from 1 on, and each that is in a group one more after them all."""
    nodes = locations.sort("location_id").with_columns(node=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    grouped = (
        nodes.join(members, on="location_id", how="semi")
        .sort("node")
        .select("location_id", member_node=pl.int_range(0, pl.len(), dtype=pl.Int64) + nodes.height + 1)
    )
    parents = nodes.select(parent_location_id="location_id", parent_node="node")
    return (
        nodes.join(grouped, on="location_id", how="left")
        .join(parents, on="parent_location_id", how="left")
        .with_columns(pl.col("parent_node").fill_null(ANYWHERE))
    )


def _spans(patterns: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return the sorted starts of the spans of texts, and the node of the longest pattern in each."""
    ends = [end for pattern in patterns["pattern"] if (end := _first_after(pattern)) is not None]
    edges = pl.concat([pl.Series([""]), patterns["pattern"], pl.Series(ends, dtype=pl.String)]).unique().sort()
    spans = pl.DataFrame({"start": edges}).with_columns(node=pl.lit(None, dtype=pl.Int64))
    by_length = patterns.select("pattern", longer="node", length=pl.col("pattern").str.len_chars())
    for length in by_length["length"].unique().sort():
        longer = by_length.filter(pl.col("length") == length)
        spans = (
            spans.with_columns(pattern=pl.col("start").str.slice(0, length))
            .join(longer.select("pattern", "longer"), on="pattern", how="left", maintain_order="left")
            .select("start", node=pl.coalesce("longer", "node"))
        )
    return spans["start"], spans["node"].fill_null(NOWHERE)


def _first_after(prefix: str) -> str | None:
    """Return the first text by code points after all that begin with ``prefix``; None if there is none."""
    kept = prefix.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    if following == _SURROGATES_START:
        following = _SURROGATES_END
    return kept[:-1] + chr(following)


def nodes_of(numbers: pl.Series, places: Places) -> pl.Series:
    """Return the node of each number's location, ``NOWHERE`` where no pattern fits."""
    span = places.span_starts.search_sorted(numbers.fill_null(""), side="right").cast(pl.Int64) - 1
    return places.span_nodes.gather(span)


def chains(nodes: pl.Series, places: Places) -> pl.DataFrame:
    """Return every node on the way up from each of ``nodes``: ``node``, ``above`` (the node itself included)."""
    level = pl.DataFrame({"node": nodes.unique()}).with_columns(above=pl.col("node"))
    levels = [level.clear()]
    while not level.is_empty():
        levels.append(level)
        level = level.with_columns(above=places.following.gather(level["above"])).filter(pl.col("above") != NOWHERE)
    return pl.concat(levels)
