"""Who bears the identifiers of a table, kept by the version of the price book: services send usage again and again."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.rating.rate import Holders
from ratemill.setup.in_force import book as price_books
from ratemill.store.connections import Connection

IDENTIFIERS_MAX = 200_000  # kept of one owner, about 100 MB; more are forgotten all at once


@dataclass(frozen=True, slots=True)
class Known:
    """The identifiers that were asked for since the version began, found or not, and who bears them."""

    version: int
    asked: pl.Series
    holders: Holders


_known: dict[int, Known] = {}


def holders_of(connection: Connection, owner_id: int, identifiers: pl.Series, *, version: int) -> Holders:
    """Return who bears ``identifiers``, and perhaps others, by the set-up of ``version``; ask only for what is new."""
    distinct = identifiers.unique()
    known = _known.get(owner_id)
    if known is None or known.version != version or known.asked.len() > IDENTIFIERS_MAX:
        known = _ask(connection, owner_id, distinct, version)
    else:
        missing = distinct.filter(~distinct.is_in(known.asked.implode()))
        if not missing.is_empty():
            known = _both(known, _ask(connection, owner_id, missing, version))
    _known[owner_id] = known
    return known.holders


def _ask(connection: Connection, owner_id: int, identifiers: pl.Series, version: int) -> Known:
    return Known(version, identifiers, price_books.holders(connection, owner_id, identifiers, version=version))


def _both(old: Known, new: Known) -> Known:
    return Known(
        old.version,
        pl.concat([old.asked, new.asked]),
        Holders(
            identifiers=pl.concat([old.holders.identifiers, new.holders.identifiers]),
            services=pl.concat([old.holders.services, new.holders.services]).unique("service_id"),
            accounts=pl.concat([old.holders.accounts, new.holders.accounts]).unique("account_id"),
        ),
    )
