"""``ratemill status``, ``exceptions``, ``charges`` and ``trace``: what happened, read from the database itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic, sleep
from typing import Annotated, Any
from uuid import UUID

import typer

from ratemill.access.database import DEFAULT_OWNER, Database
from ratemill.access.owners import owner_of
from ratemill.api.http.envelope import Json
from ratemill.api.usage.instances import (
    charge_instance,
    history_instance,
    import_exception_instance,
    match_instance,
    rating_exception_instance,
)
from ratemill.cli.terminal.common import AsJson, existing_database, read_settings
from ratemill.cli.terminal.tables import print_head, print_members, print_table
from ratemill.errors import NotFound, UsageFault
from ratemill.ledger import charges as ledger_charges
from ratemill.ledger import exceptions as ledger_exceptions
from ratemill.ledger import history as ledger_history
from ratemill.ledger.lookup import look_up
from ratemill.pages import PAGE_ROWS_MAX, Page, Paging
from ratemill.printing import print_json, print_notice
from ratemill.settings import Settings
from ratemill.store.charges.import_exceptions import ImportExceptionFilters
from ratemill.store.charges.rating_exceptions import RatingExceptionFilters
from ratemill.store.histories.requests import AnyHistory

POLL_S = 0.2

Owner = Annotated[str, typer.Option(help="Whose records.")]
TrackingId = Annotated[UUID | None, typer.Option(help="Either tracking id of one request.")]
PageNumber = Annotated[int, typer.Option(min=1, help="Which page.")]
PageSize = Annotated[int, typer.Option(min=1, max=PAGE_ROWS_MAX, help="Rows of a page.")]
PageOffset = Annotated[
    int, typer.Option(min=0, help="Rows of the page that were shown before, where it ended at its bytes.")
]

_IMPORT_COLUMNS = {
    "request": "dataImportHistoryId",
    "row": "originatingFileRecordIndex",
    "batch": "importBatchId",
    "feed": "udrFeedName",
    "state": "dataImportExceptionStatusTypeName",
    "message": "message",
}
_RATING_COLUMNS = {
    "id": "id",
    "request": "dataImportHistoryId",
    "row": "originatingFileRecordIndex",
    "batch": "importBatchId",
    "date": "date",
    "identifier": "udrUsageIdentifier",
    "attempts": "attemptCount",
    "message": "message",
}
_CHARGE_COLUMNS = {
    "request": "dataImportHistoryId",
    "row": "originatingFileRecordIndex",
    "batch": "importBatchId",
    "date": "date",
    "identifier": "udrUsageIdentifier",
    "account": "accountName",
    "service": "accountServiceName",
    "class": "usageClassName",
    "quantity": "quantity",
    "amount": "amount",
    "currency": "currencyName",
}
_RECORD_COLUMNS = {
    "request": "dataImportHistoryId",
    "row": "originatingFileRecordIndex",
    "batch": "importBatchId",
    "state": "recordStateName",
    "record": "dataSnippet",
    "what became of it": "end",
    "remade equal": "remadeText",
}


def status(
    key: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A request, batch of characteristics or import: its identity or a tracking id."
        ),
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until none of its records waits.")] = False,
    wait_s_max: Annotated[int, typer.Option(min=1, help="Longest wait in seconds; exit code 1 beyond it.")] = 600,
    owner: Owner = DEFAULT_OWNER,
    as_json: AsJson = False,
) -> None:
    """Say how far a request of usage, batch of characteristics or import of subscription data has come, with its counts."""
    with existing_database() as database:
        owner_id = owner_of(database, owner)
        shown = _read_status(database, owner_id, key, wait_s=wait_s_max if wait else 0)
    instance = history_instance(shown)
    if as_json:
        print_json(instance)
    else:
        _print_members(instance)
    raise typer.Exit(1 if wait and shown.rows_waiting else 0)


def exceptions(  # noqa: PLR0917 -- the options of the command
    of_import: Annotated[bool, typer.Option("--import", help="Import exceptions, not rating exceptions.")] = False,
    tracking_id: TrackingId = None,
    page_number: PageNumber = 1,
    page_size: PageSize = 1_000,
    page_offset: PageOffset = 0,
    owner: Owner = DEFAULT_OWNER,
    as_json: AsJson = False,
) -> None:
    """List the open rating exceptions, or the import exceptions."""
    settings = read_settings()
    asked = _paging(page_number, page_size, page_offset, settings)
    with existing_database(settings) as database:
        owner_id = owner_of(database, owner)
        if of_import:
            refused = ledger_exceptions.import_page(
                database, owner_id, ImportExceptionFilters(tracking_id=tracking_id), asked
            )
            _print_page(refused, asked, import_exception_instance, _IMPORT_COLUMNS, as_json=as_json)
            return
        filters = RatingExceptionFilters(tracking_id=tracking_id)
        excepted = ledger_exceptions.rating_page(database, owner_id, filters, asked)
    _print_page(excepted, asked, rating_exception_instance, _RATING_COLUMNS, as_json=as_json)


def charges(  # noqa: PLR0917 -- the options of the command
    tracking_id: TrackingId = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="NAME=VALUE", help="A filter of the call that reads charges; all must hold."),
    ] = None,
    page_number: PageNumber = 1,
    page_size: PageSize = 1_000,
    page_offset: PageOffset = 0,
    owner: Owner = DEFAULT_OWNER,
    as_json: AsJson = False,
) -> None:
    """List charges, by request, then row."""
    from ratemill.api.usage.charge_filters import filters_of_terms  # the web framework loads with it

    terms = filters_of_terms([*(filters or []), *([f"trackingId={tracking_id}"] if tracking_id else [])])
    settings = read_settings()
    asked = _paging(page_number, page_size, page_offset, settings)
    with existing_database(settings) as database:
        shown = ledger_charges.page(database, owner_of(database, owner), terms, asked)
    _print_page(shown, asked, charge_instance, _CHARGE_COLUMNS, as_json=as_json)


def trace(
    text: Annotated[str, typer.Argument(metavar="ID|BATCH|IDENTIFIER|ACCOUNT", help="What to look up.")],
    records_max: Annotated[int, typer.Option(min=1, max=PAGE_ROWS_MAX, help="Records to show of each match.")] = 1_000,
    owner: Owner = DEFAULT_OWNER,
    as_json: AsJson = False,
) -> None:
    """Tell the life of every record behind a request, a batch, an identifier or an account; make its usage again."""
    from ratemill.cli import remade  # the table engine loads with this, and other commands need none

    settings = read_settings()
    with existing_database(settings) as database:
        owner_id = owner_of(database, owner)
        matches = look_up(database, owner_id, text, records_max)
        instances = [match_instance(match) for match in matches]
        for match, instance in zip(matches, instances, strict=True):
            made = remade.remade_records(database, owner_id, match, settings)
            for record, each in zip(instance["records"], made, strict=True):
                record["remade"] = each
    if not matches:
        raise NotFound(f"no request, batch, identifier or account is named '{text}'")
    if as_json:
        print_json({"matches": instances})
        return
    for instance in instances:
        for record in instance["records"]:
            record["remadeText"] = remade.remade_text(record["remade"])
        _print_match(instance)


def _read_status(database: Database, owner_id: int, key: str, *, wait_s: int) -> AnyHistory:
    until = monotonic() + wait_s
    while True:
        shown = ledger_history.find(database, owner_id, key)
        if shown.rows_waiting == 0 or monotonic() >= until:
            return shown
        sleep(POLL_S)


def _paging(number: int, size: int, offset: int, settings: Settings) -> Paging:
    if offset >= size:
        raise UsageFault(f"--page-offset must be less than --page-size, {size}, not {offset}")
    return Paging(number, size, skip=offset, bytes_max=settings.page_bytes_max)


def _print_page(
    page: Page[Any], paging: Paging, instance: Callable[[Any], Json], columns: dict[str, str], *, as_json: bool
) -> None:
    rows = [instance(row) for row in page.rows]
    if as_json:
        print_json(rows)
    else:
        _print_rows(columns, rows)
    if page.is_cut:
        print_notice(
            f"the page ends here, at {paging.bytes_max} bytes (RATEMILL_PAGE_BYTES_MAX): --page-offset "
            f"{paging.skip + len(rows)} with the same page goes on"
        )
    if page.total is not None and len(rows) < page.total:
        print_notice(f"{len(rows)} of {page.total} shown; --page-number gives the others")


def _print_rows(columns: dict[str, str], rows: Iterable[Json]) -> None:
    print_table(columns, [[_text(row[member]) for member in columns.values()] for row in rows])


def _print_members(instance: Json) -> None:
    print_members([(name, _text(value)) for name, value in _flat(instance)])


def _flat(instance: Json) -> Iterator[tuple[str, Any]]:
    """Return the members, those of an object within it under the names of both."""
    for name, value in instance.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", each) for inner, each in _flat(value))
        else:
            yield name, value


def _print_match(instance: Json) -> None:
    for what in ("dataImportHistory", "importBatch", "account"):
        if instance[what]:
            print_head(what)
            _print_members(instance[what])
    if instance["udrUsageIdentifier"] is not None:
        print_head(f"identifier {instance['udrUsageIdentifier']}")
        members = ("udrIdentifierTypeName", "accountName", "accountServiceName", "start", "end")
        _print_rows({name: name for name in members}, instance["usageIdentifiers"])
    _print_rows(_RECORD_COLUMNS, [{**record, "end": _end(record)} for record in instance["records"]])
    if instance["hasMoreRecords"]:
        print_notice("there are further records; --records-max shows more, up to 16 MB of them")


def _end(record: Json) -> str:
    """Say in one line what became of a record."""
    if record["recordStateName"] == "Duplicate":
        of = record["duplicateOf"]
        return f"repeats row {of['originatingFileRecordIndex']} of request {of['dataImportHistoryId']}"
    if record["charges"]:
        charged = [
            f"{charge['amount']} {charge['currencyName']} to {charge['accountName']}" for charge in record["charges"]
        ]
        return ", ".join(charged)
    excepted = record["udrUsageException"] or record["dataImportException"]
    return excepted["message"] if excepted else ""


def _text(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
