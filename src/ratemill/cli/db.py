"""``ratemill db``: the embedded database."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ratemill.access import database, removal
from ratemill.cli.terminal.common import AsJson, read_settings
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.intake import supervisor
from ratemill.printing import confirm, print_json, print_line, print_notice

app = typer.Typer(help="The embedded database.", no_args_is_help=True)


@app.command()
def start(as_json: AsJson = False) -> None:
    """Start the embedded database unless it is running, and show where it is. A database that is missing is created."""
    _show(database.start_embedded(read_settings()), as_json=as_json)


@app.command()
def stop() -> None:
    """Stop the embedded database. A `ratemill serve` on the home starts it again: stop that first."""
    settings = read_settings()
    print_line("stopped" if database.stop_embedded(settings) else "it was not running")
    if supervisor.is_served(settings.home.absolute()):
        print_notice("`ratemill serve` is running on this home and starts the database again")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say where the embedded database is and whether it runs."""
    _show(database.embedded_status(read_settings()), as_json=as_json)


@app.command()
def remove(yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False) -> None:
    """Show what is in the embedded database, ask, then stop it and delete it. Refused while another command uses it."""
    settings = read_settings()
    with removal.used_by_no_other(settings, removal.DELETE):
        found = removal.find(settings)
        if found is None:
            print_line("there was none")
            return
        for line in found.lines():
            print_line(line)
        if not yes:
            _ask(f"Delete the database in {found.home} and everything in it?")
        removal.remove(settings)
    print_line("deleted")


@app.command()
def upgrade(
    old_bin: Annotated[Path | None, typer.Option(help="Folder of the programs of the older PostgreSQL.")] = None,
) -> None:
    """Bring the data of an older PostgreSQL to the version that comes with Ratemill."""
    settings = read_settings()
    with removal.used_by_no_other(settings, removal.UPGRADE):
        print_line(f"upgraded: {database.upgrade_embedded(settings, old_bin)}")


def _ask(question: str) -> None:
    """Go on only after a yes at a terminal."""
    if not sys.stdin.isatty():
        raise UsageFault("nothing is deleted: there is no terminal to ask at; add --yes", exit_code=USED_WRONGLY)
    if not confirm(question):
        raise UsageFault("nothing is deleted")


def _show(status: database.EmbeddedStatus, *, as_json: bool) -> None:
    shown = {name: str(value) if value is not None else None for name, value in asdict(status).items()}
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        print_line(f"{name.replace('_', ' '):>14}: {value}")
