"""The commands `apply` and `export`: set-up from a document, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ratemill.access.database import DEFAULT_OWNER
from ratemill.cli.terminal.common import AsJson, existing_database, opened_database, user_name
from ratemill.errors import Fault, UsageFault
from ratemill.printing import print_document, print_json, print_line, print_notice
from ratemill.setup.reading.export import export_document
from ratemill.setup.writing.apply import CREATED, UNCHANGED, UPDATED, ApplyResult, apply_document

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and write nothing.")]
CreateOwner = Annotated[bool, typer.Option("--create-owner", help="Create the owner if it does not exist.")]
File = Annotated[Path, typer.Argument(help="A set-up document, YAML or JSON; - is standard input.")]
Owner = Annotated[str, typer.Option("--owner", help="Whose set-up.")]


def apply(file: File, dry_run: DryRun = False, create_owner: CreateOwner = False, as_json: AsJson = False) -> None:
    """Make the set-up agree with a document: all of it or, where anything is wrong, nothing."""
    text, folder = read_text(file)
    with existing_database() if dry_run else opened_database() as database:
        applied = apply_document(
            database, text, folder, dry_run=dry_run, create_owner=create_owner, created_by=user_name()
        )
    if as_json:
        print_json(applied.as_json())
    else:
        _print(applied, dry_run=dry_run)
    if applied.errors:
        raise typer.Exit(1)


def export(owner: Owner = DEFAULT_OWNER) -> None:
    """Write the set-up of an owner as a document to standard output."""
    with existing_database() as database:
        print_document(export_document(database, owner))


def read_text(file: Path) -> tuple[str, Path]:
    """Return the text of a document, and the folder that its CSV files are looked for from."""
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read().decode(), Path.cwd()
        return file.read_bytes().decode(), file.parent
    except OSError as error:
        raise UsageFault(f"'{file}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageFault(f"'{file}' is not UTF-8: {error.reason} at byte {error.start}") from error


def _print(applied: ApplyResult, *, dry_run: bool) -> None:
    for fault in applied.errors:
        print_notice(f"{placed(fault)}")
    for fault in applied.warnings:
        print_notice(f"warning: {placed(fault)}")
    if applied.errors:
        print_notice(f"{len(applied.errors)} faults; nothing is changed")
        return
    for item in applied.items:
        if item.action != UNCHANGED:
            print_line(f"{item.action} {item.list}: {item.key}")
    counts = ", ".join(f"{applied.count(action)} {action}" for action in (CREATED, UPDATED, UNCHANGED))
    print_line(f"{'dry run: ' if dry_run else ''}{counts}")


def placed(fault: Fault) -> str:
    """Return a fault of a document with its place, in one line."""
    place = ", ".join(part for part in (fault.path, f"line {fault.line}" if fault.line else "") if part)
    return f"{place}: {fault.message}" if place else fault.message
