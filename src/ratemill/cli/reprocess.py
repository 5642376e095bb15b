"""``ratemill reprocess``: rate exceptions anew."""

from __future__ import annotations

import os
from time import sleep
from typing import Annotated

import typer

from ratemill.access.database import DEFAULT_OWNER, Database
from ratemill.access.owners import owner_of
from ratemill.api.usage.reprocess_body import by_search, comparison, reprocess_instance
from ratemill.cli.terminal.common import AsJson, existing_database, read_settings, user_name
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.ledger import reprocess as ledger_reprocess
from ratemill.printing import print_json, print_line
from ratemill.settings import Settings
from ratemill.store.charges.reprocesses import Criteria, Reprocess

POLL_S = 0.2

Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="NAME=VALUE", help="A member of the exceptions and its value; all given must hold."
    ),
]
Ids = Annotated[list[int] | None, typer.Option("--id", help="The id of an exception; may be given again.")]


def reprocess(  # noqa: PLR0917 -- the options of the command
    filters: Filters = None,
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open exception.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Do the work here, or wait for who does it.")] = False,
    owner: Annotated[str, typer.Option(help="Whose exceptions.")] = DEFAULT_OWNER,
    as_json: AsJson = False,
) -> None:
    """Rate open exceptions anew by today's set-up: those that the filters find, those of the ids, or all."""
    if sum(map(bool, (filters, ids, everything))) != 1:
        raise UsageFault("say what to reprocess, by one of --filter, --id and --all", exit_code=USED_WRONGLY)
    settings = read_settings()
    criteria = _criteria(filters or [], ids or [])
    with existing_database(settings) as database:
        owner_id = owner_of(database, owner)
        order = ledger_reprocess.order(database, owner_id, criteria, scheduled_at=None, created_by=user_name())
        if wait:
            order = _work_until_ended(database, settings, order)
    if as_json:
        print_json(reprocess_instance(order))
    else:
        _print(order)


def _criteria(filters: list[str], ids: list[int]) -> Criteria:
    if ids:
        return ledger_reprocess.by_ids(ids)
    if not filters:
        return ledger_reprocess.all_of_them()
    wrong = [filter_ for filter_ in filters if "=" not in filter_]
    if wrong:
        raise UsageFault(f"--filter is NAME=VALUE, not '{wrong[0]}'", exit_code=USED_WRONGLY)
    named = [filter_.partition("=") for filter_ in filters]
    return by_search([comparison(name, "eq", value) for name, _, value in named])


def _work_until_ended(database: Database, settings: Settings, order: Reprocess) -> Reprocess:
    os.environ.setdefault("POLARS_MAX_THREADS", str(settings.worker_threads))
    from ratemill.intake.caches import RatingCaches  # after the threads are set, and only where the work is done here
    from ratemill.jobs.reprocess import run_table

    caches = RatingCaches.within(settings)
    while order.ended_at is None:
        if not run_table(database, settings, order.reprocess_id, caches):
            sleep(POLL_S)
        order = ledger_reprocess.find(database, order.owner_id, order.reprocess_id)
    return order


def _print(order: Reprocess) -> None:
    if order.ended_at is None:
        print_line(f"reprocess {order.reprocess_id}: {order.rows_matched} exceptions will be rated anew")
        return
    print_line(
        f"reprocess {order.reprocess_id}: {order.rows_matched} matched, {order.rows_sent} tried,"
        f" {order.rows_rated} rated, {order.rows_failed} not"
    )
