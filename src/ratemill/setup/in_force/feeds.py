"""Usage feeds for the API: found by what a request calls them."""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.store.connections import Connection
from ratemill.store.setup import feeds
from ratemill.store.setup.feeds import Feed


@dataclass(frozen=True, slots=True)
class RowForm:
    """How a row of the feed is cut: the format of its data profile, and for csv the delimiter and the quote."""

    format: str
    delimiter: str
    quote: str
    header_row: bool


def find_feed(connection: Connection, name_or_id: str) -> Feed | None:
    """Return the owner's feed, enabled or not: all digits, its number first; else API name, then name, whatever the case."""
    return feeds.find(connection, name_or_id)()


def read_row_form(connection: Connection, feed: Feed) -> RowForm:
    """Return how a row of the feed is cut, by the version of its data profile that is in force."""
    found = feeds.read_with_document(connection, feed.feed_id)
    document = found.document if found else {}
    return RowForm(
        str(document.get("format", "csv")),
        str(document.get("delimiter", ",")),
        str(document.get("quote", '"')),
        header_row=bool(document.get("headerRow")),
    )
