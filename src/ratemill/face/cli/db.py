"""``ratemill db``: the embedded database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ratemill.face.cli.common import AsJson, print_json, read_settings
from ratemill.setup import database

app = typer.Typer(help="The embedded database.", no_args_is_help=True)


@app.command()
def start(as_json: AsJson = False) -> None:
    """Start the embedded database unless it is running, and show where it is. A database that is missing is created."""
    _show(database.start_embedded(read_settings()), as_json=as_json)


@app.command()
def stop() -> None:
    """Stop the embedded database."""
    typer.echo("stopped" if database.stop_embedded(read_settings()) else "it was not running")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say where the embedded database is and whether it runs."""
    _show(database.embedded_status(read_settings()), as_json=as_json)


@app.command()
def remove(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Stop the embedded database and delete it with everything in it."""
    if not yes:
        typer.confirm("Delete the embedded database and everything in it?", abort=True)
    typer.echo("deleted" if database.remove_embedded(read_settings()) else "there was none")


@app.command()
def upgrade(
    old_bin: Annotated[Path | None, typer.Option(help="Folder of the programs of the older PostgreSQL.")] = None,
) -> None:
    """Bring the data of an older PostgreSQL to the version that comes with Ratemill."""
    typer.echo(f"upgraded: {database.upgrade_embedded(read_settings(), old_bin)}")


def _show(status: database.EmbeddedStatus, *, as_json: bool) -> None:
    shown = {name: str(value) if value is not None else None for name, value in asdict(status).items()}
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        typer.echo(f"{name.replace('_', ' '):>14}: {value}")
