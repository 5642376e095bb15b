"""The command `token create`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ratemill.errors import UsageFault
from ratemill.face.cli.common import USED_WRONGLY, AsJson, opened_database, print_json
from ratemill.setup.database import DEFAULT_OWNER
from ratemill.setup.tokens import RIGHTS, create_token

app = typer.Typer(help="Tokens: who may call, for which owner, with which rights.", no_args_is_help=True)

Role = Annotated[str, typer.Option("--role", help=f"One of {', '.join(RIGHTS)}.")]
Name = Annotated[
    str, typer.Option("--name", help="What the token is called; a login gives it as client_id. [the role]")
]
Owner = Annotated[str, typer.Option("--owner", help="The owner that the token acts for.")]
CreateOwner = Annotated[bool, typer.Option("--create-owner", help="Create the owner if it does not exist.")]


@app.callback()
def tokens() -> None:
    """Keep `create` a command of its own."""


@app.command()
def create(
    role: Role,
    name: Name = "",
    owner: Owner = DEFAULT_OWNER,
    create_owner: CreateOwner = False,
    as_json: AsJson = False,
) -> None:
    """Make a token and print its secret, which is kept nowhere."""
    if role not in RIGHTS:
        raise UsageFault(f"there is no role '{role}': {', '.join(RIGHTS)}", exit_code=USED_WRONGLY)
    with opened_database() as database:
        secret = create_token(database, owner_name=owner, role=role, name=name or role, create_owner=create_owner)
    if as_json:
        print_json({"name": name or role, "role": role, "ownerName": owner, "secret": secret})
    else:
        sys.stdout.write(f"{secret}\n")
