"""``ratemill audit``: prove that the counts tie."""

from __future__ import annotations

from typing import Annotated

import typer

from ratemill.access.owners import owner_of
from ratemill.cli.terminal.common import AsJson, existing_database
from ratemill.cli.terminal.tables import print_failure, print_table
from ratemill.ledger import audit as audits
from ratemill.ledger.audit import Audit
from ratemill.printing import print_json, print_line

Owner = Annotated[str | None, typer.Option(help="Audit the records of this owner alone.")]

TABLE_WIDTH = 130  # of all counts of a day side by side; a narrower terminal breaks the lines
_DAY = ["feed", "day", "received", "waiting", "imported", "skipped", "duplicate", "refused"]
_DAY += ["rated", "rating_exceptions", "written_off"]


def audit(owner: Owner = None, as_json: AsJson = False) -> None:
    """Count every record anew from the raw bodies, and prove that each has exactly one end."""
    with existing_database() as database:
        found = audits.audit(database, owner_of(database, owner) if owner else None)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
    raise typer.Exit(0 if found.holds else 1)


def _print(audit: Audit) -> None:
    headings = [name.replace("_", " ") for name in _DAY]
    print_table(headings, [[str(day[name]) for name in _DAY] for day in audit.days], width=TABLE_WIDTH)
    totals = {name: audit.totals.get(name, 0) for name in _DAY[2:]}
    print_line(
        "received {received} = waiting {waiting} + imported {imported} + skipped {skipped} + duplicate {duplicate}"
        " + refused {refused}".format(**totals),
    )
    print_line(
        "imported {imported} = rated {rated} + rating exceptions {rating_exceptions} + waiting for rating 0"
        " + written off {written_off}".format(**totals),
    )
    for amount in audit.amounts:
        print_line(f"charged {amount['amount']} {amount['currency']} in {amount['charges']} charges")
    for failure in audit.failures:
        places = {"submission": failure.submission_id, "batch": failure.batch_id, "row": failure.row_index}
        where = ", ".join(f"{name} {number}" for name, number in places.items() if number is not None)
        print_failure(failure.rule, f"{where or 'all'}: {failure.detail}")
    if audit.holds:
        print_line(f"The counts tie: {audit.records} of {audit.records} records accounted for")
    else:
        print_line(f"The counts do not tie: {audit.failure_count} failures")
