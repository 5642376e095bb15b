"""Owners, and the version of each one's price book, whose row is the lock of everything that is set up."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors
from psycopg.rows import class_row

from ratemill.errors import WriteRace
from ratemill.store.connections import Connection, driver

# Bases of the numbers of advisory locks, the owner's number added.
_USAGE = 0x524D_0001_0000_0000
ACCEPTS = 0x524D_0002_0000_0000
_NAMES = 0x524D_0003_0000_0000  # of all owners: no number is added


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner with the defaults of its prices."""

    owner_id: int
    name: str
    amount_places: int
    rounding: str
    rate_plan_id: int | None


@dataclass(frozen=True, slots=True)
class SetupPosition:
    """Where an owner's set-up is: its version, the number of its newest logged change, and what the log does not tell."""

    version: int
    change_id: int
    subscription_version: int


@dataclass(frozen=True, slots=True)
class OwnerName:
    """An owner by number and name."""

    owner_id: int
    name: str


def create(connection: Connection, name: str) -> int:
    """Create the owner of that name with its built-in objects, unless it exists; return its number."""
    row = driver(connection).execute("select create_owner(%s)", (name,)).fetchone()
    return int(row[0]) if row else 0


def rename(connection: Connection, owner_id: int, name: str) -> None:
    """Give an owner another name."""
    statement = "update owners set name = %s, revision = revision + 1 where owner_id = %s"
    driver(connection).execute(statement, (name, owner_id))


def lock_names(connection: Connection) -> None:
    """Wait until no other transaction creates or renames an owner, and hold others up until this one ends."""
    driver(connection).execute("select pg_advisory_xact_lock(%s)", (_NAMES,))


def names(connection: Connection) -> list[OwnerName]:
    """Return all owners, by name."""
    rows = driver(connection).execute("select owner_id, name from owners order by name, owner_id").fetchall()
    return [OwnerName(*row) for row in rows]


def find(connection: Connection, name: str) -> int | None:
    """Return the number of the owner of that name, if there is one."""
    row = driver(connection).execute("select owner_id from owners where name = %s", (name,)).fetchone()
    return int(row[0]) if row else None


def read(connection: Connection, owner_id: int) -> Owner:
    """Return one owner."""
    statement = "select owner_id, name, amount_places, rounding, rate_plan_id from owners where owner_id = %s"
    row = driver(connection).execute(statement, (owner_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no owner {owner_id}")
    return Owner(*row)


def enter(connection: Connection, owner_id: int) -> None:
    """Let what asks for the rows of the owner entered find those of this one, until the transaction ends."""
    driver(connection).execute("select set_config('ratemill.owner_id', %s, true)", (str(owner_id),))


def lock_price_book(connection: Connection, owner_id: int) -> None:
    """Wait until nobody else sets up this owner, and keep others waiting until this transaction ends."""
    driver(connection).execute("select version from price_books where owner_id = %s for update", (owner_id,))


def lock_to_edit(connection: Connection, owner_id: int) -> None:
    """As ``lock_price_book``, for a transaction that changes a few objects: it looks rows up by index only.

    The server keeps the plans of its statements, and a plan that was made while a table was small would read it whole
    once it is large. Compiling a plan would take longer than running it.
    """
    statement = """
        select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), version
        from price_books where owner_id = %s for update"""
    driver(connection).execute(statement, (owner_id,))


def keep_set_up(connection: Connection, owner_id: int) -> None:
    """Let nothing of the owner's set-up be deleted until this transaction ends; waits for a delete under way.

    For a transaction that is about to read the set-up and to write usage that names it.
    """
    driver(connection).execute("select pg_advisory_xact_lock_shared(%s)", (_USAGE + owner_id,))


def wait_for_usage(connection: Connection, owner_id: int, *, accepts: bool) -> None:
    """Wait for every transaction that keeps the owner's set-up, and hold others up until this one ends.

    What is read from here on shows all usage that such a transaction wrote. With ``accepts``, requests too. Raises
    ``WriteRace`` if the lock time-out passes first.
    """
    try:
        driver(connection).execute("select pg_advisory_xact_lock(%s)", (_USAGE + owner_id,))
        if accepts:
            driver(connection).execute("select pg_advisory_xact_lock(%s)", (ACCEPTS + owner_id,))
    except errors.LockNotAvailable as error:
        raise WriteRace("usage that may name it is being rated") from error


def raise_version(connection: Connection, owner_id: int, *, subscriptions: bool = False) -> int:
    """Count a change of the owner's set-up; return the new version.

    ``subscriptions``: references of subscriptions changed, which the log of changes does not tell.
    """
    statement = """
        update price_books set version = version + 1, subscription_version = subscription_version + %s::integer
        where owner_id = %s returning version"""
    row = driver(connection).execute(statement, (int(subscriptions), owner_id)).fetchone()
    return int(row[0]) if row else 0


def version(connection: Connection, owner_id: int) -> int:
    """Return the version of an owner's set-up."""
    row = driver(connection).execute("select version from price_books where owner_id = %s", (owner_id,)).fetchone()
    return int(row[0]) if row else 0


def position(connection: Connection, owner_id: int) -> SetupPosition:
    """Return where an owner's set-up is in the state that the transaction sees."""
    cursor = driver(connection).cursor(row_factory=class_row(SetupPosition))
    cursor.execute(
        """
        select version, subscription_version, coalesce((select max(c.setup_change_id) from setup_changes c
            where c.owner_id = b.owner_id), 0) as change_id
        from price_books b where owner_id = %s
        """,
        (owner_id,),
    )
    found = cursor.fetchone()
    if found is None:
        raise LookupError(f"there is no owner {owner_id}")
    return found


def read_only_snapshot(connection: Connection) -> None:
    """Let all that follows in this transaction see one state and write nothing; must come first in it."""
    driver(connection).execute("set transaction isolation level repeatable read, read only")
