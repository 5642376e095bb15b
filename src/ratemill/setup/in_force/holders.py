"""Who has the identifiers of a table, kept by a worker: services send usage again and again.

What is kept is brought forward by the log of changes: only objects that changed are forgotten, and asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from ratemill import columns
from ratemill.caches import Cache
from ratemill.rating.rate import Holders
from ratemill.setup.in_force.book import SetupSnapshot
from ratemill.setup.objects.accounts import OBJECT as ACCOUNTS
from ratemill.setup.objects.identifier_types import OBJECT as IDENTIFIER_TYPES
from ratemill.setup.objects.identifiers import OBJECT as IDENTIFIERS
from ratemill.setup.objects.services import OBJECT as SERVICES
from ratemill.setup.objects.subscription_rate_plans import OBJECT as SUBSCRIPTION_RATE_PLANS
from ratemill.store.connections import Connection
from ratemill.store.setup import changes as setup_changes
from ratemill.store.setup import identifiers as store
from ratemill.store.setup.changes import ChangedIds

IDENTIFIERS_MAX = 200_000  # kept of one owner, about 100 MB; more are forgotten all at once
OWNERS_MAX = 10_000  # of which holders are kept
CHANGES_MAX = 20_000  # with more everything is forgotten

_IDENTIFIERS = pl.Schema([("identifier_id", pl.Int64()), *columns.IDENTIFIERS.items()])
# Seldom changed, and in the rows of many others: with one of these everything is forgotten.
_OF_MANY = (IDENTIFIER_TYPES.list_name, SUBSCRIPTION_RATE_PLANS.list_name)
_LISTS = [IDENTIFIERS.list_name, SERVICES.list_name, ACCOUNTS.list_name, *_OF_MANY]


@dataclass(frozen=True, slots=True)
class KnownHolders:
    """The identifiers that were asked for (``texts``), found or not, and who has them, as of a change of the set-up.

    ``identifiers`` are those of ``columns.IDENTIFIERS`` with their number.
    """

    change_id: int
    subscription_version: int
    texts: pl.Series
    identifiers: pl.DataFrame
    services: pl.DataFrame
    accounts: pl.DataFrame


def holder_cache(bytes_max: int) -> Cache[int, KnownHolders]:
    """Return an empty cache for the holders known of each owner."""
    return Cache(entries_max=OWNERS_MAX, weight_max=bytes_max, weigh=columns.bytes_of)


def holders_of(snapshot: SetupSnapshot, identifiers: pl.Series, cache: Cache[int, KnownHolders]) -> Holders:
    """Return who has ``identifiers``, and perhaps others, by the set-up of ``snapshot``; ask only for what is new."""
    distinct = identifiers.drop_nulls().unique()
    before = cache.get(snapshot.owner_id)
    known = _brought_forward(snapshot, before)
    if known is None or known.texts.len() > IDENTIFIERS_MAX:
        known = _ask(snapshot, distinct)
    else:
        missing = distinct.filter(~distinct.is_in(known.texts.implode()))
        if not missing.is_empty():
            known = _both(known, _ask(snapshot, missing))
    if known is not before:
        cache.put(snapshot.owner_id, known)
    return Holders(known.identifiers.select(columns.IDENTIFIERS.names()), known.services, known.accounts)


def _ask(snapshot: SetupSnapshot, identifiers: pl.Series) -> KnownHolders:
    """Return who has these identifiers, in three queries."""
    connection = snapshot.connection
    rows = store.bearers(connection, snapshot.owner_id, identifiers.sort().to_list())
    found = pl.DataFrame(rows, schema=_IDENTIFIERS, orient="row")
    services = _services(connection, found["service_id"])
    accounts = _accounts(connection, services["account_id"])
    position = snapshot.position
    return KnownHolders(position.change_id, position.subscription_version, identifiers, found, services, accounts)


def _services(connection: Connection, service_ids: pl.Series) -> pl.DataFrame:
    rows = store.services(connection, service_ids.unique().sort().to_list())
    return pl.DataFrame(rows, schema=columns.SERVICES, orient="row")


def _accounts(connection: Connection, account_ids: pl.Series) -> pl.DataFrame:
    rows = store.accounts(connection, account_ids.unique().sort().to_list())
    return pl.DataFrame(rows, schema=columns.ACCOUNTS, orient="row")


def _both(old: KnownHolders, new: KnownHolders) -> KnownHolders:
    return replace(
        new,
        texts=pl.concat([old.texts, new.texts]),
        identifiers=pl.concat([old.identifiers, new.identifiers]),
        services=_renewed(old.services, new.services, "service_id"),
        accounts=_renewed(old.accounts, new.accounts, "account_id"),
    )


def _renewed(old: pl.DataFrame, new: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return the rows of both, the newer one where both have one."""
    return pl.concat([old.join(new, on=key, how="anti"), new])


# What changed since


def _brought_forward(snapshot: SetupSnapshot, known: KnownHolders | None) -> KnownHolders | None:
    """Return what is known still, at the position of the snapshot; None if that is nothing."""
    position = snapshot.position
    if known is None or known.subscription_version != position.subscription_version:
        return None
    if known.change_id == position.change_id:
        return known
    changed = setup_changes.changed_ids(
        snapshot.connection, snapshot.owner_id, _LISTS, after=known.change_id, most=CHANGES_MAX
    )
    if changed is None or any(list_name in _OF_MANY for list_name, _ in changed):
        return None
    kept = _without_identifiers(snapshot, known, _ids(changed, IDENTIFIERS.list_name))
    kept = _with_services(snapshot, kept, _ids(changed, SERVICES.list_name))
    kept = _with_accounts(snapshot, kept, _ids(changed, ACCOUNTS.list_name))
    return replace(kept, change_id=position.change_id)


def _ids(changed: ChangedIds, list_name: str) -> pl.Series:
    found = (object_id for (name, _), ids in changed.items() if name == list_name for object_id in ids)
    return pl.Series(list(found), dtype=pl.Int64).unique()


def _without_identifiers(snapshot: SetupSnapshot, known: KnownHolders, identifier_ids: pl.Series) -> KnownHolders:
    """Forget the texts that changed identifiers had and have."""
    if identifier_ids.is_empty():
        return known
    had = known.identifiers.filter(_is_one_of("identifier_id", identifier_ids))["usage_identifier"]
    have = store.texts(snapshot.connection, identifier_ids.to_list())
    texts = pl.concat([had, pl.Series(have, dtype=pl.String)]).unique()
    return replace(
        known,
        texts=known.texts.filter(~known.texts.is_in(texts.implode())),
        identifiers=known.identifiers.filter(~_is_one_of("usage_identifier", texts)),
    )


def _with_services(snapshot: SetupSnapshot, known: KnownHolders, service_ids: pl.Series) -> KnownHolders:
    """Read changed services again, and the accounts of those that are of another one now."""
    due = _known_ones(known.services["service_id"], service_ids)
    if due.is_empty():
        return known
    new = _services(snapshot.connection, due)
    services = pl.concat([known.services.filter(~_is_one_of("service_id", due)), new])
    return replace(known, services=services, accounts=_with_more_accounts(snapshot, known.accounts, new["account_id"]))


def _with_accounts(snapshot: SetupSnapshot, known: KnownHolders, account_ids: pl.Series) -> KnownHolders:
    """Read changed accounts again, with all that are above them now."""
    due = _known_ones(known.accounts["account_id"], account_ids)
    if due.is_empty():
        return known
    new = _accounts(snapshot.connection, due)
    kept = known.accounts.filter(~_is_one_of("account_id", due))
    return replace(known, accounts=_renewed(kept, new, "account_id"))


def _with_more_accounts(snapshot: SetupSnapshot, accounts: pl.DataFrame, account_ids: Iterable[int]) -> pl.DataFrame:
    missing = pl.Series(account_ids, dtype=pl.Int64)
    missing = missing.filter(~missing.is_in(accounts["account_id"].implode()))
    if missing.is_empty():
        return accounts
    return _renewed(accounts, _accounts(snapshot.connection, missing), "account_id")


def _known_ones(known: pl.Series, ids: pl.Series) -> pl.Series:
    return ids.filter(ids.is_in(known.implode()))


def _is_one_of(name: str, values: pl.Series) -> pl.Expr:
    return pl.col(name).is_in(values.implode())
