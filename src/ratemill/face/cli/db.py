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
def stop() -> None:
    """Stop the embedded database."""
    typer.echo("stopped" if database.stop_embedded(read_settings()) else "it was not running")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say where the embedded database is and whether it runs."""
    known = {
        name: str(value) if value is not None else None
        for name, value in asdict(database.embedded_status(read_settings())).items()
    }
    if as_json:
        print_json(known)
        return
    for name, value in known.items():
        typer.echo(f"{name.replace('_', ' '):>14}: {value}")


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
