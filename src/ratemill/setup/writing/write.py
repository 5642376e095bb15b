"""Write what changed and the log of it: identities first, then new rows by COPY and changed ones by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratemill.errors import invariant
from ratemill.setup.declaration import Entry, SetupObject
from ratemill.setup.world import Row, World
from ratemill.setup.writing.changes import Log
from ratemill.store import bulk
from ratemill.store.setup import data_profiles


def write(kind: SetupObject, entries: list[Entry], world: World, written: dict[int, int], log: Log) -> None:
    """Write the new and changed entries of one list; ``written`` maps their identities to the stored ones, and grows.

    Changed rows go first, for one may end where a new one begins; but a new parent goes before the row that moves below it.
    Changed rows are logged as they are written, unless what they show stands in other tables too.
    """
    new = [entry for entry in entries if entry.stored is None]
    changed = [entry for entry in entries if entry.stored is not None]
    stands_alone = not kind.versioned and all(member.link is None for member in kind.members)
    before = {} if stands_alone else log.seen(kind, [entry.identity for entry in changed])
    if new:
        identities = bulk.new_identities(world.connection, kind.table, kind.identity, len(new))
        written.update(zip((entry.identity for entry in new), identities, strict=True))
    new_goes_first = bool(new) and _refers_to_new(kind, changed)
    if new_goes_first:
        _insert(kind, new, world, written)
    if changed:
        columns, rows = _changes(kind, changed, written)
        if stands_alone:
            log.change(kind, columns, rows)
        else:
            bulk.update_rows(world.connection, kind.table, kind.identity, columns, rows)
    if new and not new_goes_first:
        _insert(kind, new, world, written)
    _write_links(kind, entries, world, written)
    if kind.versioned:
        ids = [[written.get(entry.identity, entry.identity) for entry in some] for some in (new, changed)]
        data_profiles.keep_versions(world.connection, new=ids[0], changed=ids[1])
    unlogged = new if stands_alone else entries
    if unlogged:
        log.note(kind, [written.get(entry.identity, entry.identity) for entry in unlogged], before)


def _refers_to_new(kind: SetupObject, changed: list[Entry]) -> bool:
    """Whether a changed row refers to a new one of its own list."""
    own = [
        member.column for member in kind.references if member.target == kind.list_name and member.column in kind.columns
    ]
    return any((entry.row[column] or 0) < 0 for entry in changed for column in own)


def _insert(kind: SetupObject, entries: list[Entry], world: World, written: dict[int, int]) -> None:
    columns = [column for column in kind.columns if any(entry.row[column] is not None for entry in entries)]
    references = _references(kind)
    rows = (
        (written[entry.identity], world.owner_id, *_values(entry, columns, references, written)) for entry in entries
    )
    bulk.insert_rows(world.connection, kind.table, (kind.identity, "owner_id", *columns), rows)


def _changes(kind: SetupObject, entries: list[Entry], written: dict[int, int]) -> tuple[list[str], list[Row]]:
    """Return the columns that change in any of the rows, and their values by row."""
    columns = [column for column in kind.columns if any(column in entry.changes for entry in entries)]
    references = _references(kind)
    rows = [
        {kind.identity: entry.identity, **dict(zip(columns, _values(entry, columns, references, written), strict=True))}
        for entry in entries
    ]
    return columns, rows


def _references(kind: SetupObject) -> set[str]:
    return {member.column for member in kind.members if member.is_reference}


def _values(entry: Entry, columns: Sequence[str], references: set[str], written: dict[int, int]) -> list[Any]:
    return [_real(entry.row[name], written) if name in references else entry.row[name] for name in columns]


def _real(identity: int | None, written: dict[int, int]) -> int | None:
    if identity is None or identity > 0:
        return identity
    invariant(identity in written, "a reference points to what is not written")
    return written[identity]


def _write_links(kind: SetupObject, entries: list[Entry], world: World, written: dict[int, int]) -> None:
    for member in kind.members:
        if member.link is None:
            continue
        links = {
            written.get(entry.identity, entry.identity): [
                written.get(one, one) for one in entry.row[member.column] or ()
            ]
            for entry in entries
            if member.column in entry.changes
        }
        if links:
            link = member.link
            bulk.replace_links(
                world.connection, link.table, link.parent, link.child, owner_id=world.owner_id or 0, links=links
            )
