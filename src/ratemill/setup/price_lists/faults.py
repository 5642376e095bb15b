"""The faults of a price list, each with its row, its member and the cell that is at fault."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from ratemill.errors import Fault
from ratemill.setup.declaration import Entry

FILE = "list"  # stands for a file's name in the paths of faults
_PLACE = re.compile(rf"{FILE}:(\d+)(?:\.(.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PriceListFault:
    """One fault: ``row`` counts the rows below the header from 1, ``line`` the lines of the text."""

    code: int
    message: str
    row: int | None
    line: int | None
    field: str | None
    value: str | None


def refusals(text: str, rows: list[Entry], faults: list[Fault]) -> list[PriceListFault]:
    """Return the faults with their places, in the order of the rows."""
    if not faults:
        return []
    by_line = {row.line: row.index + 1 for row in rows}
    placed = [(fault, *_place(fault)) for fault in faults]
    placed.sort(key=lambda pair: (pair[1] is None, pair[1] or 0))
    cells = _cells(text, {line for _, line, field in placed if line is not None and field})
    return [
        PriceListFault(
            fault.code,
            fault.message,
            by_line.get(line) if line is not None else None,
            line,
            field,
            cells.get((line, field)) if line is not None and field else None,
        )
        for fault, line, field in placed
    ]


def _place(fault: Fault) -> tuple[int | None, str | None]:
    match = _PLACE.match(fault.path or "")
    return (int(match[1]), match[2]) if match else (None, None)


def _cells(text: str, lines: set[int]) -> dict[tuple[int, str], str]:
    """Return the cells of these lines by line and member."""
    reader = csv.reader(io.StringIO(text, newline=""))
    found: dict[tuple[int, str], str] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        line = reader.line_num + 1
        for cells in reader:
            if line in lines:
                found |= {(line, name): cell for name, cell in zip(header, cells, strict=False)}
            line = reader.line_num + 1
    except csv.Error:
        pass  # what cannot be read is a fault already, and has no cells
    return found
