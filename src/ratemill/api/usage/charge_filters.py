"""Which charges are asked for: the filters of a query, which are those of the command line too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ratemill.api.http import paging
from ratemill.api.http.paging import TIMES, Parameter
from ratemill.api.usage.carried_filters import ITEMS, split_items
from ratemill.errors import USED_WRONGLY, Fault, UsageFault
from ratemill.store.charges.charges import ChargeFilters

FILTERS = {
    "trackingId": Parameter("tracking_id", paging.read_tracking_id, "Either tracking id of the request."),
    "importBatchId": Parameter("batch_id", paging.read_number, "The batch."),
    "udrFeedName": Parameter("feed", paging.read_text, "The feed, in any letter case."),
    "udrUsageIdentifier": Parameter("usage_identifier", paging.read_text, "The identifier that the usage carries."),
    "accountName": Parameter("account", paging.read_text, "The account that pays."),
    "accountServiceName": Parameter("service", paging.read_text, "The service that was used."),
    "usageClassName": Parameter("usage_class", paging.read_text, "The usage class."),
    **ITEMS,
    **TIMES,
}


def filters_of(values: dict[str, Any]) -> ChargeFilters:
    """Return the filters that were read by ``FILTERS``."""
    items, others = split_items(values)
    return ChargeFilters(**others, items=items)


def filters_of_terms(terms: Iterable[str]) -> ChargeFilters:
    """Return the filters of terms ``NAME=VALUE``; raise ``UsageFault`` with every fault."""
    faults: list[Fault] = []
    named = [(name, value) for name, _, value in (term.partition("=") for term in terms)]
    asked = paging.read_pairs(named, FILTERS, faults)
    if faults:
        raise UsageFault("; ".join(fault.message for fault in faults), exit_code=USED_WRONGLY)
    return filters_of(asked)
