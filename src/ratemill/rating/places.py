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


def compile_places(
    locations: pl.DataFrame, patterns: pl.DataFrame, members: pl.DataFrame, known: Places | None = None
) -> Places:
    """Return the tree of ``locations`` with its ``patterns``; ``members`` are those of the location groups.

    What ``known`` has keeps its node there, and what is new comes after all of them; the nodes of what is gone lead nowhere.
    """
    numbered = _number(locations, members, known)
    starts, nodes = _spans(patterns.join(numbered.select("location_id", "node"), on="location_id"))
    by_node = _by_node(numbered, 1 if known is None else len(known.following))
    return Places(
        span_starts=starts,
        span_nodes=nodes,
        following=by_node["following"],
        location_ids=by_node["location_id"],
        names=by_node["location"],
        locations=numbered.select("location_id", "node", "member_node"),
    )


def _number(locations: pl.DataFrame, members: pl.DataFrame, known: Places | None) -> pl.DataFrame:
    """Give each location a node, and each that is in a group one more, after those of all locations."""
    first = 1 if known is None else len(known.following)
    if known is None:
        numbered = locations.with_columns(pl.lit(None, pl.Int64).alias(name) for name in ("node", "member_node"))
    else:
        numbered = locations.join(known.locations, on="location_id", how="left")
    is_member = pl.col("location_id").is_in(members["location_id"].unique().implode())
    numbered = numbered.sort("location_id").with_columns(
        node=_numbers("node", pl.col("node").is_null(), first),
        member_node=pl.when(is_member).then("member_node"),
    )
    first = max(first, int(numbered.select(pl.col("node").max().fill_null(0)).item()) + 1)
    parents = numbered.select(parent_location_id="location_id", parent_node="node")
    return (
        numbered.with_columns(
            member_node=_numbers("member_node", pl.col("member_node").is_null() & is_member, first),
        )
        .join(parents, on="parent_location_id", how="left")
        .with_columns(pl.col("parent_node").fill_null(ANYWHERE))
    )


def _numbers(name: str, is_new: pl.Expr, first: int) -> pl.Expr:
    """Return the numbers of a column, those that are new from ``first`` on."""
    return pl.when(is_new).then(is_new.cast(pl.Int64).cum_sum() + (first - 1)).otherwise(name)


def _by_node(numbered: pl.DataFrame, count_min: int) -> pl.DataFrame:
    """Return following, location_id and location of each node, in their order; of an unused one they lead nowhere."""
    named = ("location_id", "location")
    used = pl.concat(
        [
            pl.DataFrame({"node": [ANYWHERE]}).select("node", following=pl.lit(NOWHERE, pl.Int64)),
            numbered.select("node", *named, following=pl.coalesce("member_node", "parent_node")),
            numbered.drop_nulls("member_node").select(*named, node="member_node", following="parent_node"),
        ],
        how="diagonal",
    )
    count = max(count_min, int(used.select(pl.col("node").max()).item()) + 1)
    nodes = pl.select(node=pl.int_range(0, count, dtype=pl.Int64))
    joined = nodes.join(used, on="node", how="left", maintain_order="left")
    return joined.select(pl.col("following").fill_null(NOWHERE), "location_id", "location")


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
