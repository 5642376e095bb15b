"""``ratemill rehearse``: sample rows through a data profile, before any usage comes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ratemill.access.database import DEFAULT_OWNER
from ratemill.cli.terminal.common import AsJson, existing_database, read_settings
from ratemill.client.files import STDIN
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.printing import print_json

File = Annotated[
    Path, typer.Argument(help="The sample rows, one a line, plain or gzip; - is standard input.", metavar="FILE")
]
Document = Annotated[
    Path | None,
    typer.Option("--file", help="Take the profile from this set-up document, as if it were applied.", metavar="SETUP"),
]
Owner = Annotated[str | None, typer.Option(help=f"Whose profile, {DEFAULT_OWNER} unless said.", show_default=False)]


def rehearse(
    profile: Annotated[str, typer.Argument(help="Name of the data profile.")],
    file: File,
    document: Document = None,
    owner: Owner = None,
    as_json: AsJson = False,
) -> None:
    """Show sample rows on their way through a data profile: parsed, mapped, validated; nothing is written."""
    from ratemill.cli import rehearsed  # the table engine loads with this, and other commands need none

    settings = read_settings()
    if document is not None and owner is not None:
        raise UsageFault("a document says itself whose profile it is: no --owner with --file", exit_code=USED_WRONGLY)
    if str(document) == str(file) == STDIN:
        raise UsageFault("only one of the two can be standard input", exit_code=USED_WRONGLY)
    with existing_database(settings) as database:
        prepared = rehearsed.prepare(database, profile, document, owner or DEFAULT_OWNER, as_json=as_json)
        rows = rehearsed.rehearse_file(database, prepared, file, settings)
    if as_json:
        print_json(rehearsed.instance(prepared, rows))
    else:
        rehearsed.show(prepared, rows)
    raise typer.Exit(1 if any(row.faults for row in rows) else 0)
