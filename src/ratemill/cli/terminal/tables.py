"""Tables and progress bars of the command line: what a cell holds is text, never markup, and shown as ``visible`` does."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Column, Table
from rich.text import Text

from ratemill.visible import shown, visible

PIPE_COLUMNS = 1_000  # wider than any row of a table
CELL_CHARS_MAX = 200  # of one cell; JSON has the whole text


def print_table(columns: Iterable[str], rows: Iterable[Sequence[str]], *, width: int | None = None) -> None:
    """Print rows under the names of their columns; a long cell is folded, a very long one cut, with its length."""
    table = Table(*[Column(_cell(name), overflow="fold") for name in columns], box=None)
    _print(table, ([shown(cell, CELL_CHARS_MAX) for cell in row] for row in rows), width)


def print_members(members: Iterable[Sequence[str]]) -> None:
    """Print names and their values, one to a line."""
    _print(Table("name", Column("value", overflow="fold"), box=None, show_header=False), members, None)


def print_head(text: str) -> None:
    """Print the head of what follows."""
    _console(None).print(Text(visible(text), style="bold"))


def print_failure(rule: str, text: str) -> None:
    """Print a rule that is broken, in red, and where."""
    _console(None).print(Text.assemble((visible(rule), "red"), visible(f": {text}")), soft_wrap=True)


def progress_of(*columns: ProgressColumn) -> Progress:
    """Return progress bars on standard error, which show themselves on a terminal only."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _print(table: Table, rows: Iterable[Sequence[str]], width: int | None) -> None:
    for row in rows:
        table.add_row(*map(_cell, row))
    _console(width).print(table, soft_wrap=width is not None)


def _cell(text: str) -> Text:
    return Text(visible(text))


def _console(width: int | None) -> Console:
    """Return where tables are printed: as wide as the terminal, or as they need where no terminal reads them."""
    return Console(highlight=False, width=width or (None if sys.stdout.isatty() else PIPE_COLUMNS))
