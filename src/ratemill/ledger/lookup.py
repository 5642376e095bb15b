"""Look up: what a text names (a request, a batch, an identifier, an account), and the life of every record behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ratemill.ledger.reading import find_history, number_of
from ratemill.ledger.trace import RecordLife, RecordName, lives_within
from ratemill.pages import PAGE_BYTES_MAX, Paging
from ratemill.store.charges import charges, rating_exceptions
from ratemill.store.charges.charges import ChargeFilters
from ratemill.store.connections import Connection, Database
from ratemill.store.histories import requests as histories
from ratemill.store.histories.requests import Batch, History
from ratemill.store.usage import holders, record_ends
from ratemill.store.usage.holders import AccountServices, IdentifierSpan


@dataclass(frozen=True, slots=True)
class LookupMatch:
    """One thing that a text names, by exactly one of the members before ``records``.

    ``spans`` may be empty for an identifier that nobody bears. ``has_more``: there are further records.
    """

    records: list[RecordLife]
    has_more: bool
    history: History | None = None
    batch: Batch | None = None
    identifier: str | None = None
    account: AccountServices | None = None
    spans: list[IdentifierSpan] = field(default_factory=list)


def look_up(database: Database, owner_id: int, text: str, records_max: int) -> list[LookupMatch]:
    """Return everything of the owner that ``text`` names, each with its first records, by request, then row."""
    with database.reader(owner_id) as connection:
        found = (
            _request(connection, text, records_max),
            _batch(connection, text, records_max),
            _identifier(connection, text, records_max),
            _account(connection, text, records_max),
        )
        return [match for match in found if match is not None]


def _request(connection: Connection, text: str, records_max: int) -> LookupMatch | None:
    history = find_history(connection, text)
    if history is None:
        return None
    rows = range(1, min(history.rows_received, records_max) + 1)
    lives = lives_within(connection, [(history.submission_id, row) for row in rows], PAGE_BYTES_MAX)
    return LookupMatch(lives, has_more=history.rows_received > len(lives), history=history)


def _batch(connection: Connection, text: str, records_max: int) -> LookupMatch | None:
    number = number_of(text)
    batch = histories.find_batch(connection, number) if number is not None else None
    if batch is None:
        return None
    names = record_ends.names_of_batch(connection, batch.batch_id, records_max + 1)
    lives = lives_within(connection, names[:records_max], PAGE_BYTES_MAX)
    return LookupMatch(lives, has_more=len(names) > len(lives), batch=batch)


def _identifier(connection: Connection, text: str, records_max: int) -> LookupMatch | None:
    spans = holders.spans_of(connection, text)
    excepted = rating_exceptions.names_of_holder(connection, records_max + 1, usage_identifier=text)
    if not spans and not excepted:
        return None
    charged = _charged(connection, ChargeFilters(usage_identifier=text), records_max)
    names = sorted({*charged, *excepted})
    lives = lives_within(connection, names[:records_max], PAGE_BYTES_MAX)
    return LookupMatch(lives, has_more=len(names) > len(lives), identifier=text, spans=spans)


def _account(connection: Connection, text: str, records_max: int) -> LookupMatch | None:
    account = holders.find_account(connection, text)
    if account is None:
        return None
    excepted = rating_exceptions.names_of_holder(connection, records_max + 1, account=text)
    names = sorted({*_charged(connection, ChargeFilters(account=text), records_max), *excepted})
    lives = lives_within(connection, names[:records_max], PAGE_BYTES_MAX)
    return LookupMatch(lives, has_more=len(names) > len(lives), account=account)


def _charged(connection: Connection, filters: ChargeFilters, records_max: int) -> Iterator[RecordName]:
    found = charges.page(connection, filters, Paging(size=records_max + 1, with_total=False))
    return ((charge.submission_id, charge.row_index) for charge in found.rows)
