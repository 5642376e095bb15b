"""Charges: what rated usage costs, read back."""

from __future__ import annotations

from dataclasses import replace

from ratemill.errors import Code, NotFound
from ratemill.ledger.carried_items import with_items
from ratemill.pages import Page, Paging
from ratemill.records import ChargeName, charge_name
from ratemill.store.charges import charges
from ratemill.store.charges.charges import Charge, ChargeFilters
from ratemill.store.connections import Database
from ratemill.store.usage import carried_items

_IDENTITY_MAX = 2**80  # beyond the number of any charge


def page(database: Database, owner_id: int, filters: ChargeFilters, paging: Paging) -> Page[Charge]:
    """Return a page of charges, by request, row, run and entry."""
    with database.reader(owner_id) as connection:
        asked = set(filters.items or ())
        if carried_items.charged(connection, owner_id, asked) != asked:
            return Page([], 0 if paging.with_total else None)
        found = charges.page(connection, filters, paging)
        return replace(found, rows=with_items(connection, found.rows))


def find(database: Database, owner_id: int, identity: int) -> Charge:
    """Return the charge of that number; raise ``NotFound``."""
    name = charge_name(min(identity, _IDENTITY_MAX))
    with database.reader(owner_id) as connection:
        charge = charges.find(connection, name)
        if charge is None:
            raise NotFound(f"there is no charge {identity}", code=Code.CHARGE_NOT_FOUND)
        return with_items(connection, [charge])[0]


def reversed_by(charge: Charge) -> ChargeName | None:
    """Return the entry that a charge takes back: a re-rate adds a reversal, which has an odd number, and a new entry."""
    if charge.entry % 2 == 0:
        return None
    return ChargeName(charge.submission_id, charge.row_index, charge.run, charge.entry - 1)
