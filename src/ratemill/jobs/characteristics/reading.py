"""The items of a batch as its job reads them again: those of the next table, by page, then index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice

from ratemill.catalog.characteristics.writing import SentItem
from ratemill.errors import invariant
from ratemill.reference import json_text
from ratemill.store.characteristics import jobs
from ratemill.store.characteristics.jobs import ItemJob, StoredPage
from ratemill.store.characteristics.staging import Faults
from ratemill.store.connections import Connection

TEXT_BYTES_MAX = 32 * 1024 * 1024  # of the pages that are open at once, as sent; the first is opened whatever its size


def next_items(connection: Connection, job: ItemJob, items_max: int) -> list[SentItem]:
    """Return the next items of a batch; none if there are no more."""
    pages = jobs.pages(connection, job, items_max=items_max)
    return list(islice(_items_of(pages, job, None), items_max))


def items_of(connection: Connection, job: ItemJob, numbers: Sequence[int]) -> list[SentItem]:
    """Return the items of these numbers, in order; if they are large only the first of them."""
    pages = jobs.pages_of(connection, job, numbers)
    return list(_items_of(pages, job, set(numbers)))


def _items_of(pages: Iterable[StoredPage], job: ItemJob, wanted: Container[int] | None) -> Iterator[SentItem]:
    opened = 0
    for page in pages:
        text = page.items
        opened += len(text)
        if opened > TEXT_BYTES_MAX and opened > len(text):
            return
        warnings = _by_index(page.warnings)
        first = page.page_number * job.page_size
        for index, each in enumerate(json_text.elements(text)):
            number = first + index
            if number >= job.next_item if wanted is None else number in wanted:
                yield _read(number, index, each.decode(), warnings.get(index, []))


def _read(number: int, index: int, text: str, warnings: Faults) -> SentItem:
    compact = json_text.compact(text)
    item = json_text.reread(compact or text)
    invariant(isinstance(item, dict), f"item {number} of a batch is no object")
    return SentItem(number, f"items[{index}]", item if isinstance(item, dict) else {}, compact, warnings)


def _by_index(warnings: Iterable[dict[str, str]]) -> dict[int, Faults]:
    """Return the warnings of a page by the item that they are about."""
    found: defaultdict[int, Faults] = defaultdict(list)
    for warning in warnings:
        index, closed, _ = warning.get("property", "").removeprefix("items[").partition("]")
        if closed and index.isdigit():
            found[int(index)].append(warning)
    return found
