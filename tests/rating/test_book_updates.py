"""The next version of a book, made of what changed, rates as the book that is compiled of all the tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.rating import books
from tests.rating.test_explain import all_holders, price_tables, records

from ratemill.rating.book import SCHEMAS, PriceBook, PriceTables, check_tables, compile_book
from ratemill.rating.book_updates import update_book
from ratemill.rating.faults import BookFaults
from ratemill.rating.rate import Holders, rate
from ratemill.reasons import BY_ID


def updated(book: PriceBook, old: PriceTables, new: PriceTables, **options: Any) -> PriceBook:
    """Return ``book``, which is of ``old``, brought to ``new`` by what differs."""
    one, other = (
        each.join(beside, on=each.columns, how="anti", nulls_equal=True)["rate_id"]
        for each, beside in ((old.rates, new.rates), (new.rates, old.rates))
    )
    changed = pl.concat([one, other]).unique()
    same = {
        name: getattr(book.tables, name)
        for name in SCHEMAS
        if name != "rates" and getattr(old, name).equals(getattr(new, name))
    }
    rates = new.rates.filter(pl.col("rate_id").is_in(changed.implode()))
    return update_book(book, dataclasses.replace(new, **same, rates=rates), changed=changed, version=2, **options)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(price_tables(), min_size=2, max_size=4),
    all_holders(),
    st.lists(records(), min_size=5, max_size=12),
    st.sampled_from([0, 3, 1_000]),
    st.data(),
)
def test_a_book_brought_forward_is_the_book_compiled_of_all(
    versions: list[PriceTables],
    holders: Holders,
    drawn: list[dict[str, Any]],
    recent_max: int,
    data: st.DataObject,
):
    usage = books.usage(*drawn)
    tables = versions[0]
    book = compile_book(tables, version=1)
    for other in versions[1:]:
        taken = data.draw(st.lists(st.sampled_from([*SCHEMAS, "owner_places", "owner_rounding"]), min_size=1))
        new = dataclasses.replace(tables, **{name: getattr(other, name) for name in taken})
        new = dataclasses.replace(new, rates=sound(new))
        book = updated(book, tables, new, recent_max=recent_max)
        tables = new
        expected, found = (rate(usage, each, holders) for each in (compile_book(tables, version=2), book))
        assert_frame_equal(found.charges, expected.charges)
        assert_frame_equal(found.exceptions, expected.exceptions)


def sound(tables: PriceTables) -> pl.DataFrame:
    """Return the rates without those at fault, which no set-up has."""
    wrong = [fault.id for fault in check_tables(tables) if fault.table == "rates"]
    return tables.rates.filter(~pl.col("rate_id").is_in(wrong))


def charged(book: PriceBook, **record: Any) -> list[tuple[int, int]]:
    """Return rate_id and location_id of the charge of a record."""
    result = rate(books.usage(record), book, books.holders())
    return list(result.charges.select("rate_id", "location_id").iter_rows())


def test_what_did_not_change_is_not_compiled_again():
    old = books.tables([{"amount": "1"}, {"usage_class_id": books.CALLS, "location_id": books.CANADA}])
    new = books.tables([{"amount": "2"}, {"usage_class_id": books.CALLS, "location_id": books.CANADA}])
    book = compile_book(old, version=1)
    next_book = updated(book, old, new)
    assert next_book.settled is book.settled
    assert next_book.places is book.places
    assert next_book.recent is not None
    assert book.gone is None, "the version before stays whole: a table may still be rated by it"
    assert next_book.version == 2


def test_many_recent_rates_are_settled():
    old = books.tables([{"amount": "1"}])
    book = compile_book(old, version=1)
    new = books.tables([{"amount": "2"}, {"usage_class_id": books.CALLS, "location_id": books.CANADA}])
    next_book = updated(book, old, new, recent_max=1)
    assert (next_book.recent, next_book.gone, next_book.settled.rates.height) == (None, None, 2)


def test_more_locations_than_there_is_room_for_settle_the_rates(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ratemill.rating.book.NODES_SPARE", 0)
    old = books.tables([{"usage_class_id": books.CALLS, "location_id": books.FRANCE}])
    book = compile_book(old, version=1)
    more = books.frame(
        [{"location_id": 100 + n, "location": f"place {n}", "parent_location_id": books.FRANCE} for n in range(20)],
        SCHEMAS["locations"],
    )
    pattern = books.frame([{"pattern": "7", "location_id": 119}], SCHEMAS["patterns"])
    new = dataclasses.replace(
        old, locations=pl.concat([old.locations, more]), patterns=pl.concat([old.patterns, pattern])
    )
    next_book = updated(book, old, new)
    assert next_book.settled is not book.settled
    calls = {"usage_class_id": books.CALLS, "terminating_identifier": "7"}
    assert charged(next_book, **calls) == [(1, 119)]


def test_a_rate_that_went_leaves_no_trace_in_the_reason_of_a_miss():
    calls = {"usage_class_id": books.CALLS, "terminating_identifier": "33"}
    seldom = {"usage_class_id": books.CALLS, "location_id": books.FRANCE, "end_at": books.day(1, 1)}
    elsewhere = {"usage_class_id": books.CALLS, "location_id": books.CALGARY, "start_at": books.day(1, 1)}
    reasons = []
    old = books.tables([seldom, elsewhere])
    book = compile_book(old, version=1)
    steps: list[list[dict[str, Any]]] = [
        [seldom, elsewhere],
        [{**seldom, **elsewhere}, elsewhere],
        [{"amount": "3"}, {"amount": "4", "rate_group_id": 2}],
    ]
    for rates in steps:
        new = books.tables(rates)
        book = updated(book, old, new)
        old = new
        exceptions = rate(books.usage(calls), book, books.holders()).exceptions
        reasons += [BY_ID[reason_id].name for reason_id in exceptions["reason_id"]]
    assert reasons == [
        "rate_not_effective_on_usage_date",
        "rate_not_found_for_location",
        "rate_not_found_for_usage_class",
    ]


def test_a_faulty_change_is_told():
    old = books.tables([{"amount": "1"}])
    book = compile_book(old, version=1)
    new = books.tables([{"amount": "one"}])
    with pytest.raises(BookFaults, match="rates 1, amount"):
        updated(book, old, new)
