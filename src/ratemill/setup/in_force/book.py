"""What workers need of the set-up: the compiled price book, feeds with their profile, all of one state.

A table is claimed first, and then the set-up is read in one snapshot: so the snapshot has every change that was answered
before any record of the table was accepted, and no batch sees half of a change. What changes while the table is worked on
is in force for the next one. Only workers import this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from ratemill.caches import Cache
from ratemill.errors import fail
from ratemill.mediation.profiles.declared import Profile
from ratemill.mediation.profiles.profile import read_profile
from ratemill.rating.book import PriceBook
from ratemill.setup.in_force.mediation_setup import match_lists, reader_of
from ratemill.setup.in_force.price_books import BookAtChange, book_at, book_cache
from ratemill.store import connections, owners
from ratemill.store.connections import Connection
from ratemill.store.owners import SetupPosition
from ratemill.store.setup import feeds

PROFILES_MAX = 1_000  # kept of all owners: a profile of 40 fields has about 100 KB


@dataclass(frozen=True, slots=True)
class SetupCaches:
    """What a process keeps of the set-up: the last book of each owner, and the last profile by number with its version."""

    books: Cache[int, BookAtChange]
    profiles: Cache[int, tuple[int, Profile]]

    @classmethod
    def within(cls, bytes_max: int) -> SetupCaches:
        """Return empty caches whose books have at most ``bytes_max`` bytes."""
        return cls(book_cache(bytes_max), Cache(entries_max=PROFILES_MAX))


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


@dataclass(frozen=True, slots=True)
class SetupSnapshot:
    """An owner's set-up in one state: ``connection`` reads in it whatever else a table needs."""

    connection: Connection
    owner_id: int
    position: SetupPosition
    book: PriceBook

    def end(self) -> None:
        """End the snapshot before its block ends: all that is needed has been read.

        While a table is written, a transaction that only waits would reach the time-out of idle ones.
        """
        self.connection.commit()


@contextmanager
def setup_snapshot(connection: Connection, owner_id: int, caches: SetupCaches) -> Iterator[SetupSnapshot]:
    """Yield the set-up in force; nothing of it is deleted before the transaction of ``connection`` ends.

    For a transaction that holds what it is about to rate.
    """
    owners.keep_set_up(connection, owner_id)
    with connections.snapshot(connection) as snapshot:
        position = owners.position(snapshot, owner_id)
        yield SetupSnapshot(snapshot, owner_id, position, book_at(snapshot, owner_id, position, caches.books))


def load(connection: Connection, owner_id: int, caches: SetupCaches) -> None:
    """Load the price book of an owner, or what has changed of it.

    Call it before the attempt at records begins. Loading takes seconds in a new process: a worker that is killed in this
    time, or has not the memory for it, did not die on a record.
    """
    with setup_snapshot(connection, owner_id, caches):
        pass


@contextmanager
def in_force(connection: Connection, feed_id: int, caches: SetupCaches) -> Iterator[tuple[WorkerFeed, SetupSnapshot]]:
    """Yield a feed with its profile, and its owner's set-up, both of one state; as ``setup_snapshot`` does."""
    with setup_snapshot(connection, feeds.owner_of(connection, feed_id), caches) as snapshot:
        yield worker_feed(snapshot.connection, feed_id, caches), snapshot


def worker_feed(connection: Connection, feed_id: int, caches: SetupCaches) -> WorkerFeed:
    """Return a feed with its data profile in the version in force."""
    feed = feeds.read_with_document(connection, feed_id)
    if feed is None:
        fail(f"there is no feed {feed_id}")
    known = caches.profiles.get(feed.data_profile_id)
    if known is None or known[0] != feed.data_profile_version:
        known = feed.data_profile_version, read_profile(feed.document | {"name": feed.data_profile_name})
        caches.profiles.put(feed.data_profile_id, known)
    return WorkerFeed(
        feed_id=feed.feed_id,
        owner_id=feed.owner_id,
        name=feed.name,
        data_profile_id=feed.data_profile_id,
        profile_version=known[0],
        profile=known[1],
        lists=match_lists(known[1], reader_of(connection, feed.owner_id)),
    )
