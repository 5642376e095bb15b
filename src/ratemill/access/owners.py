"""Owners by name: created, found and listed; only commands create them, never a call over HTTP."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence

from ratemill.access.names import likeness, name_fault
from ratemill.errors import UsageFault
from ratemill.store import owners
from ratemill.store.connections import Connection, Database
from ratemill.store.owners import OwnerName
from ratemill.visible import shown

_KNOWN_NAMES_MAX = 5  # known owners that a message lists
_LEAST_LIKENESS = 0.5  # a name that shares less with the given one is not suggested


class UnknownOwner(UsageFault):
    """No owner has the name; the message gives the command that creates one."""


def create_owner(database: Database, name: str) -> int:
    """Create an owner with its built-in objects; return its number. Raise ``UsageFault`` if the name cannot be taken."""
    with database.worker() as connection:
        owners.lock_names(connection)
        check_new(connection, name)
        return owners.create(connection, name)


def ensure(connection: Connection, name: str) -> int:
    """Return the number of an owner, created if it does not exist; raise ``UsageFault`` if the name cannot be taken."""
    found = owners.find(connection, name)
    if found is not None:
        return found
    owners.lock_names(connection)
    check_new(connection, name)
    return owners.create(connection, name)


def list_owners(database: Database) -> list[OwnerName]:
    """Return all owners, by name."""
    with database.worker() as connection:
        return owners.names(connection)


def require(connection: Connection, name: str) -> int:
    """Return the number of an owner; raise ``UnknownOwner``."""
    owner_id = owners.find(connection, name)
    if owner_id is None:
        raise UnknownOwner(unknown(connection, name))
    return owner_id


def owner_of(database: Database, name: str) -> int:
    """Return the number of an owner; raise ``UnknownOwner``."""
    with database.worker() as connection:
        return require(connection, name)


def unknown(connection: Connection, name: str) -> str:
    """Return the message for a name that no owner has: the nearest name, and the command that creates the owner."""
    fault = name_fault(name)
    if fault is not None:
        return f"the name of an owner {fault}"
    return (
        f"unknown owner '{shown(name)}'{_nearest(name, [each.name for each in owners.names(connection)])}; {_how(name)}"
    )


def check_new(connection: Connection, name: str, *, besides: str | None = None) -> None:
    """Raise ``UsageFault`` unless an owner may have the name; two names must differ in more than letter case."""
    fault = name_fault(name)
    if fault is not None:
        raise UsageFault(f"the name of an owner {fault}")
    for each in owners.names(connection):
        if each.name == name or (each.name != besides and likeness(each.name) == likeness(name)):
            like = "" if each.name == name else f", which looks like '{shown(name)}'"
            raise UsageFault(f"owner '{shown(each.name)}' already exists{like}")


def _how(name: str) -> str:
    return f"to create it, run: ratemill owner create {shlex.quote(name)}"


def _nearest(name: str, known: Sequence[str]) -> str:
    by_likeness = {likeness(each): each for each in known}
    near = difflib.get_close_matches(likeness(name), by_likeness, n=1, cutoff=_LEAST_LIKENESS)
    if near:
        return f" (did you mean '{shown(by_likeness[near[0]])}'?)"
    listed = ", ".join(f"'{shown(each)}'" for each in known[:_KNOWN_NAMES_MAX])
    return f" (known: {listed}{', …' if len(known) > _KNOWN_NAMES_MAX else ''})"
