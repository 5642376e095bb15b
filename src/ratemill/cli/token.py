"""The commands `token create`, `token list` and `token revoke`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ratemill.access.database import DEFAULT_OWNER
from ratemill.access.tokens import EXPIRY_DAYS, RIGHTS, TokenRequest, add_token, list_tokens, revoke_tokens, state_of
from ratemill.cli.terminal.common import AsJson, existing_database, opened_database, user_name
from ratemill.errors import USED_WRONGLY, BadRequest, UsageFault
from ratemill.periods import read_instant, write_instant
from ratemill.printing import print_json, print_line, print_notice
from ratemill.store.tokens import Token
from ratemill.visible import shown

app = typer.Typer(help="Tokens: who may call, for which owner, with which rights.", no_args_is_help=True)

Role = Annotated[str, typer.Option("--role", help=f"One of {', '.join(RIGHTS)}.")]
Name = Annotated[str, typer.Option("--name", help="The name of the token; a login gives it as client_id. [the role]")]
Owner = Annotated[str, typer.Option("--owner", help="The owner that the token acts for.")]
CreateOwner = Annotated[bool, typer.Option("--create-owner", help="Create the owner if it does not exist.")]
Expires = Annotated[
    str, typer.Option("--expires", help=f"When it expires: 90d, 12h, or a date or time. [{EXPIRY_DAYS}d]")
]
Never = Annotated[bool, typer.Option("--never", help="It does not expire.")]
Feeds = Annotated[
    list[str] | None,
    typer.Option("--feed", help="Bind a token of the role import to this feed; repeat for several."),
]
AnyOwner = Annotated[str | None, typer.Option("--owner", help="Only the tokens of this owner. [all]")]

_SPAN = re.compile(r"([1-9][0-9]{0,5})([dh])")
_HEADINGS = ("id", "name", "owner", "role", "created", "last used", "expires", "state")


@app.command()
def create(  # noqa: PLR0917 -- options, which are given by name
    role: Role,
    name: Name = "",
    owner: Owner = DEFAULT_OWNER,
    expires: Expires = "",
    never: Never = False,
    feed: Feeds = None,
    create_owner: CreateOwner = False,
    as_json: AsJson = False,
) -> None:
    """Create a token and print its secret, which is not stored; its id goes to standard error."""
    if role not in RIGHTS:
        raise UsageFault(f"unknown role '{shown(role)}'; known: {', '.join(RIGHTS)}", exit_code=USED_WRONGLY)
    if never and expires:
        raise UsageFault("--expires and --never exclude each other", exit_code=USED_WRONGLY)
    wanted = TokenRequest(
        name or role,
        role,
        _expiry(expires) if expires else None,
        never_expires=never,
        feed_names=tuple(feed or ()),
    )
    with opened_database() as database:
        try:
            token, secret = add_token(database, owner, wanted, created_by=user_name(), create_owner=create_owner)
        except BadRequest as error:
            raise UsageFault("; ".join(fault.message for fault in error.faults)) from error
    if as_json:
        print_json({**as_members(token), "secret": secret})
        return
    ends = "never expires" if token.expires_at is None else f"expires {write_instant(token.expires_at)}"
    print_notice(f"token {token.token_id}: role {token.role}, owner '{shown(token.owner_name)}', {ends}")
    print_line(f"{secret}")


@app.command("list")
def list_(owner: AnyOwner = None, as_json: AsJson = False) -> None:
    """List the tokens of all owners, each followed by those that its logins gave."""
    with existing_database() as database:
        found = list_tokens(database, owner)
    if as_json:
        print_json([as_members(each) for each in found])
        return
    rows = [_HEADINGS, *(_row(each) for each in found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADINGS))]
    for row in rows:
        print_line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def revoke(
    token_id: Annotated[
        int | None, typer.Argument(metavar="ID", help="The token, by the id that `list` shows.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Revoke the token of this name instead.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Revoke all tokens of the name.")] = False,
    owner: AnyOwner = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a token; it and the logins that it gave end immediately."""
    if (token_id is None) == (not name):
        raise UsageFault("give either ID or --name NAME", exit_code=USED_WRONGLY)
    with existing_database() as database:
        listed = list_tokens(database, owner)
        found = _matching(listed, token_id, name)
        if len(found) > 1 and not every:
            for each in found:
                print_notice("  ".join(_row(each)))
            message = f"{len(found)} tokens have the name '{shown(name)}'; give the id of one, or --all"
            raise UsageFault(message)
        ids = [each.token_id for each in found]
        revoke_tokens(database, ids, revoked_by=user_name())
        after = [each for each in list_tokens(database, owner) if each.token_id in ids or each.login_of in ids]
    if as_json:
        print_json([as_members(each) for each in after])
        return
    for each in after:
        kind = "token" if each.login_of is None else f"login of token {each.login_of}, token"
        print_line(f"revoked {kind} {each.token_id}: '{shown(each.name)}' of owner '{shown(each.owner_name)}'")


def as_members(token: Token) -> dict[str, object]:
    """Return a token as ``--json`` prints it."""
    return {
        "identity": token.token_id,
        "name": token.name,
        "ownerName": token.owner_name,
        "role": token.role,
        "udrFeedNames": token.feed_names,
        "loginOf": token.login_of,
        "state": state_of(token),
        "createdBy": token.created_by,
        "created": write_instant(token.created_at),
        "lastUsed": token.used_at and write_instant(token.used_at),
        "expires": token.expires_at and write_instant(token.expires_at),
        "revoked": token.revoked_at and write_instant(token.revoked_at),
    }


def _matching(listed: list[Token], token_id: int | None, name: str) -> list[Token]:
    if token_id is not None:
        found = [each for each in listed if each.token_id == token_id]
        if not found:
            raise UsageFault(f"no token with id {token_id}")
        return found
    found = [each for each in listed if each.name == name and each.login_of is None and state_of(each) == "valid"]
    if not found:
        raise UsageFault(f"no valid token with the name '{shown(name)}'")
    return found


def _row(token: Token) -> tuple[str, ...]:
    feeds = "" if token.feed_names is None else f" ({', '.join(map(shown, token.feed_names))})"
    return (
        str(token.token_id),
        ("login of " if token.login_of else "") + (str(token.login_of) if token.login_of else shown(token.name)),
        shown(token.owner_name),
        token.role + feeds,
        _minute(token.created_at),
        _minute(token.used_at) if token.used_at else "-",
        _minute(token.expires_at) if token.expires_at else "never",
        state_of(token),
    )


def _minute(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def _expiry(text: str) -> datetime:
    span = _SPAN.fullmatch(text)
    try:
        if span is None:
            return read_instant(text)
        return datetime.now(UTC) + timedelta(**{"days" if span[2] == "d" else "hours": int(span[1])})
    except (ValueError, OverflowError):
        message = f"--expires must be a span such as 90d or 12h, or a date such as 2027-01-31, got '{shown(text)}'"
        raise UsageFault(message, exit_code=USED_WRONGLY) from None
