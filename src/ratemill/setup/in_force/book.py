"""What workers need of the set-up: the compiled price book by version, feeds with their profile, holders of identifiers.

No batch sees half of a change: the version is raised in the transaction of every change, so tables that were read between
two equal versions are of one state; if the version moved in between, they are read again. Only workers import this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from ratemill import columns
from ratemill.errors import Unavailable, fail
from ratemill.mediation.declared import Profile
from ratemill.mediation.profile import read_profile
from ratemill.rating.book import SCHEMAS, PriceBook, PriceTables, compile_book
from ratemill.rating.rate import Holders
from ratemill.setup.in_force.mediation_setup import match_lists, reader_of
from ratemill.store import feeds, identifiers, owners
from ratemill.store import price_book as prices
from ratemill.store.connections import Connection

READS_MAX = 20  # how often the tables are read again because set-up changed meanwhile


class BookChanged(Unavailable):
    """The set-up changed while a table was worked on: the work is not committed and done again."""


@dataclass(frozen=True, slots=True)
class WorkerFeed:
    """A feed as a worker needs it; ``lists`` are those that a match of the profile looks in."""

    feed_id: int
    owner_id: int
    name: str
    data_profile_id: int
    profile_version: int
    profile: Profile
    lists: Mapping[str, pl.DataFrame]


# The last book of each owner that this process rated for, and the last profile of each data profile.
_books: dict[int, PriceBook] = {}
_profiles: dict[int, tuple[int, Profile]] = {}


def price_book(connection: Connection, owner_id: int) -> PriceBook:
    """Return the owner's compiled book of the version in force; read again only when that changed.

    Nothing that it names is deleted before the transaction ends.
    """
    owners.keep_set_up(connection, owner_id)
    version = owners.version(connection, owner_id)
    held = _books.get(owner_id)
    if held is None or held.version != version:
        held = _books[owner_id] = _read_book(connection, owner_id, version)
    return held


def in_force(connection: Connection, feed_id: int) -> tuple[WorkerFeed, PriceBook]:
    """Return a feed with its profile, and its owner's price book, both of one version of the set-up."""
    owner_id = worker_feed(connection, feed_id).owner_id
    for _ in range(READS_MAX):
        version = owners.version(connection, owner_id)
        feed, book = worker_feed(connection, feed_id), price_book(connection, owner_id)
        if book.version == version:
            return feed, book
    raise BookChanged("the set-up changes faster than it can be read")


def _read_book(connection: Connection, owner_id: int, version: int) -> PriceBook:
    for _ in range(READS_MAX):
        tables = read_tables(connection, owner_id)
        seen, version = version, owners.version(connection, owner_id)
        if seen == version:
            return compile_book(tables, version=version)
    raise BookChanged("the set-up changes faster than it can be read")


def read_tables(connection: Connection, owner_id: int) -> PriceTables:
    """Return an owner's price tables; of one state only if the version is the same before and after."""
    owner = owners.read(connection, owner_id)
    frames = {
        name: pl.DataFrame(prices.read_table(connection, name, owner_id), schema=schema, orient="row")
        for name, schema in SCHEMAS.items()
    }
    return PriceTables(
        owner_places=owner.amount_places,
        owner_rounding=owner.rounding,
        owner_rate_plan_id=owner.rate_plan_id,
        **frames,
    )


def holders(connection: Connection, owner_id: int, texts: Iterable[str], *, version: int | None = None) -> Holders:
    """Return who may bear these identifiers, in three queries.

    ``version`` is that of the book which the table is rated with; raises ``BookChanged`` if it is no longer in force.
    """
    distinct = sorted({text for text in texts if text is not None})
    borne = identifiers.bearers(connection, owner_id, distinct)
    services = identifiers.services(connection, sorted({row[-1] for row in borne}))
    accounts = identifiers.accounts(connection, sorted({row[2] for row in services}))
    if version is not None and owners.version(connection, owner_id) != version:
        raise BookChanged("the set-up changed while the table was mediated")
    return Holders(
        identifiers=pl.DataFrame(borne, schema=columns.IDENTIFIERS, orient="row"),
        services=pl.DataFrame(services, schema=columns.SERVICES, orient="row"),
        accounts=pl.DataFrame(accounts, schema=columns.ACCOUNTS, orient="row"),
    )


def worker_feed(connection: Connection, feed_id: int) -> WorkerFeed:
    """Return a feed with its data profile in the version in force."""
    feed = feeds.read_with_document(connection, feed_id)
    if feed is None:
        fail(f"there is no feed {feed_id}")
    held = _profiles.get(feed.data_profile_id)
    if held is None or held[0] != feed.data_profile_version:
        held = feed.data_profile_version, read_profile(feed.document | {"name": feed.data_profile_name})
        _profiles[feed.data_profile_id] = held
    return WorkerFeed(
        feed_id=feed.feed_id,
        owner_id=feed.owner_id,
        name=feed.name,
        data_profile_id=feed.data_profile_id,
        profile_version=held[0],
        profile=held[1],
        lists=match_lists(held[1], reader_of(connection, feed.owner_id)),
    )
