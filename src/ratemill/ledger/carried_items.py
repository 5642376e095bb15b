"""The items that usage carries, looked up for who reads charges, exceptions or the life of a record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from ratemill.characteristics import carried
from ratemill.store.connections import Connection
from ratemill.store.usage import carried_items
from ratemill.store.usage.carried_items import CarriedItem
from ratemill.store.usage.usage_records import UsageRecord

_Usage = TypeVar("_Usage", bound=UsageRecord)


def with_items(connection: Connection, usage: Iterable[_Usage]) -> list[_Usage]:
    """Return usage records with the items that they name, each with what is known of it today, in one query."""
    records: Sequence[_Usage] = list(usage)
    named = [carried(record.extension) for record in records]
    asked = {each for of_record in named for each in of_record}
    if not asked:
        return list(records)
    found = carried_items.described(connection, asked)
    return [
        replace(record, items=tuple(found.get(each) or CarriedItem(*each) for each in of_record))
        for record, of_record in zip(records, named, strict=True)
    ]
