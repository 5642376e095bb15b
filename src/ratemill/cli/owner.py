"""The commands `owner create`, `owner list` and `owner rename`: an owner is managed on this machine alone."""

from __future__ import annotations

from typing import Annotated

import typer

from ratemill.access.owners import create_owner, list_owners
from ratemill.cli.terminal.common import AsJson, existing_database, opened_database, user_name
from ratemill.printing import print_json, print_line
from ratemill.setup.writing.renaming import rename_owner

app = typer.Typer(help="Owners: the tenants, each with records, set-up and tokens of its own.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the owner.")]
NewName = Annotated[str, typer.Argument(metavar="NEW_NAME", help="The name it gets.")]


@app.command()
def create(name: Name, as_json: AsJson = False) -> None:
    """Create an owner with its built-in objects."""
    with opened_database() as database:
        owner_id = create_owner(database, name)
    if as_json:
        print_json({"identity": owner_id, "name": name})
    else:
        print_line(f"created owner '{name}'")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all owners, by name."""
    with existing_database() as database:
        found = list_owners(database)
    if as_json:
        print_json([{"identity": each.owner_id, "name": each.name} for each in found])
        return
    for each in found:
        print_line(f"{each.owner_id:>6}  {each.name}")


@app.command()
def rename(name: Name, new_name: NewName, as_json: AsJson = False) -> None:
    """Give an owner another name; its tokens, records and set-up stay."""
    with existing_database() as database:
        owner_id = rename_owner(database, name, new_name, renamed_by=user_name())
    if as_json:
        print_json({"identity": owner_id, "name": new_name})
    else:
        print_line(f"renamed owner '{name}' to '{new_name}'")
