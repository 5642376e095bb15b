"""The command `prices`: a price list as CSV, laid over one rate group or over the patterns of locations."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ratemill.access.database import DEFAULT_OWNER
from ratemill.access.owners import owner_of
from ratemill.cli.terminal.common import AsJson, existing_database, user_name
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.periods import read_instant
from ratemill.printing import print_json, print_line, print_notice
from ratemill.setup.price_lists.laying import PATTERNS, RATES, PriceList, PriceListOutcome, lay
from ratemill.setup.writing.changes import Author

File = Annotated[Path, typer.Argument(help="CSV; its header row names members. - is standard input.")]
Group = Annotated[str | None, typer.Option("--group", help="The rate group that the list is of.")]


def prices(  # noqa: PLR0917 -- the options of the command
    file: File,
    group: Group = None,
    patterns: Annotated[bool, typer.Option("--patterns", help="The list is of patterns of locations.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Say what would be done and write nothing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="What the list does not name goes.")] = False,
    effective: Annotated[str | None, typer.Option("--effective", help="From when rows without a start hold.")] = None,
    defaults: Annotated[
        list[str] | None,
        typer.Option("--default", metavar="MEMBER=VALUE", help="Stands for empty cells of a member."),
    ] = None,
    create_locations: Annotated[
        bool, typer.Option("--create-locations", help="Make the locations that are named and not there.")
    ] = False,
    owner: Annotated[str, typer.Option("--owner", help="Whose prices.")] = DEFAULT_OWNER,
    as_json: AsJson = False,
) -> None:
    """Lay a price list over a rate group or over the patterns: all of it or, where anything is wrong, nothing."""
    if (group is None) != patterns:
        raise UsageFault("say what the list is of, by one of --group and --patterns", exit_code=USED_WRONGLY)
    asked = PriceList(
        _text(file),
        rate_group=group,
        replaces=replace,
        effective=_instant(effective),
        defaults=_defaults(defaults or [], patterns=patterns),
        makes_locations=create_locations,
    )
    with existing_database() as database:
        outcome = lay(
            database, owner_of(database, owner), asked, preview=preview, author=Author(user_name(), "document")
        )
    if as_json:
        print_json(outcome.as_json())
    else:
        _print(outcome)
    if outcome.faults:
        raise typer.Exit(1)


def _text(file: Path) -> str:
    try:
        return (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise UsageFault(f"'{file}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageFault(f"'{file}' is not UTF-8: {error.reason} at byte {error.start}") from error


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else read_instant(text)
    except (ValueError, OverflowError):
        raise UsageFault(f"'{text}' is not a time: write 2022-05-01", exit_code=USED_WRONGLY) from None


def _defaults(written: list[str], *, patterns: bool) -> dict[str, str]:
    kind = PATTERNS if patterns else RATES
    found: dict[str, str] = {}
    for one in written:
        name, sign, value = one.partition("=")
        if not sign or kind.member(name) is None:
            raise UsageFault(f"'{one}' is not MEMBER=VALUE of {kind.list_name}", exit_code=USED_WRONGLY)
        found[name] = value
    return found


def _print(outcome: PriceListOutcome) -> None:
    for fault in outcome.faults:
        print_notice(f"{fault.message}{f' ({fault.field})' if fault.field else ''}")
    for warning in outcome.warnings.items:
        print_notice(f"warning: row {warning['row']}: {warning['message']}")
    for what, part in (("added", outcome.added), ("changed", outcome.changed), ("removed", outcome.removed)):
        for item in part.items:
            print_line(f"{item.get('action', what)} {item['key']}{_change(item)}")
        if part.total > len(part.items):
            print_line(f"{what}: {part.total - len(part.items)} more")
    counts = f"{outcome.added.total} added, {outcome.changed.total} changed, {outcome.removed.total} removed, "
    counts += f"{outcome.refused.total} refused, {outcome.unchanged} unchanged"
    print_line(f"{'preview: ' if outcome.preview else ''}{counts}")


def _change(item: dict[str, Any]) -> str:
    before, after = item.get("before"), item.get("after")
    if not before or not after:
        return ""
    return ": " + ", ".join(f"{name} {before[name]} to {after[name]}" for name in before)
