"""Which items of a batch hold together, by numbers alone.

A batch holds as a whole as far as it can: an item that names a refused one is refused too, and so is each item of the batch
that makes a circle of parents, or of bills of materials: an item is no part of itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ratemill.reference.characteristics.values import ItemFault, path_of
from ratemill.visible import shown

Links = Mapping[int, Sequence[int]]

PARENTS, BILLS = "parents", "bills"  # kinds of ties
SHOWN_MAX = 10  # items of a circle that a message names


@dataclass(frozen=True, slots=True)
class Ties:
    """How items lead to others, by parents or by bills. Items of the store that are not in the batch have negative numbers.

    ``sent`` is what the batch says and ``stored`` what the store says, but for ``replaced``: that holds only for an item
    which is refused, else ``sent`` takes its place.
    """

    sent: Links
    stored: Links = field(default_factory=dict)
    replaced: Links = field(default_factory=dict)

    def following(self, item: int, refused: set[int]) -> Iterator[int]:
        """Yield the items to which one leads if those are refused."""
        yield from self.stored.get(item, ())
        yield from (self.replaced if item in refused else self.sent).get(item, ())


@dataclass(frozen=True, slots=True)
class CircleFindings:
    """What does not hold: all items that are refused, and the circles of each kind, with items of the store in them."""

    refused: set[int]
    circles: dict[str, list[list[int]]]


def refused_together(
    faulty: Iterable[int], ahead: Iterable[tuple[int, int]], ties: Mapping[str, Ties]
) -> CircleFindings:
    """Return all items of a batch that are refused, and the circles among them.

    ``faulty`` are refused already. ``ahead`` are pairs of an item and one that it names and that is in the batch only.
    ``ties`` are those that may make no circle, by kind.
    """
    named_by: defaultdict[int, list[int]] = defaultdict(list)
    for item, named in ahead:
        named_by[named].append(item)
    held = CircleFindings(set(), {kind: [] for kind in ties})
    found = list(faulty)
    while True:
        _refuse(found, named_by, held.refused)
        found = []
        for kind, each in ties.items():
            circles = list(_circles(each, held.refused))
            held.circles[kind] += circles
            found += [item for circle in circles for item in circle if item in each.sent and item not in held.refused]
        if not found:
            return held


def _refuse(item_ids: list[int], named_by: Mapping[int, Sequence[int]], refused: set[int]) -> None:
    """Add to ``refused`` what was found, and each item that names it."""
    waiting = list(item_ids)
    while waiting:
        item = waiting.pop()
        if item not in refused:
            refused.add(item)
            waiting += named_by.get(item, ())


def _circles(ties: Ties, refused: set[int]) -> Iterator[list[int]]:
    """Yield circles in which an item of the batch stands that is not refused, no two with an item in common.

    Without the items of these there is no other such circle, unless the store alone has one, which it should not.
    """
    done: set[int] = set()
    for start in ties.sent:
        if start in done:
            continue
        path, place, waiting = [start], {start: 0}, [ties.following(start, refused)]
        while waiting:
            item = next(waiting[-1], None)
            if item is None:
                end = len(path) - 1
            elif item in place:
                circle = path[place[item] :]
                if all(each in refused or each not in ties.sent for each in circle):
                    continue
                yield circle
                end = place[item]
            elif item not in done:
                place[item] = len(path)
                path.append(item)
                waiting.append(ties.following(item, refused))
                continue
            else:
                continue
            for each in path[end:]:
                del place[each]
                done.add(each)
            del path[end:], waiting[end:]


def named_of(circle: Sequence[int]) -> list[int]:
    """Return the items of a circle that its message names: the first of them, and the one to which it leads back."""
    return [*circle[:SHOWN_MAX], circle[0]]


def fault(kind: str, circle: Sequence[int], ids: Sequence[str], *, at: str, member: str) -> ItemFault:
    """Return the fault of an item in a circle; ``ids`` are those of ``named_of``, ``at`` is the path of the item."""
    middle = ["…"] if len(circle) > SHOWN_MAX else []
    way = " → ".join([*(f"'{shown(each)}'" for each in ids[:-1]), *middle, f"'{shown(ids[-1])}'"])
    what = "the parents run" if kind == PARENTS else "the bills of materials lead"
    return ItemFault(f"{kind}_in_a_circle", f"{what} in a circle: {way}", path_of(at, member))
