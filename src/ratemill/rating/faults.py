"""What is wrong with a price book: told before it is used, every fault at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratemill.errors import RatemillError


@dataclass(frozen=True, slots=True)
class BookFault:
    """One thing wrong: ``table`` and ``field`` are of ``PriceTables``, ``id`` is of the object at fault."""

    table: str
    id: int | None
    field: str
    message: str


class BookFaults(RatemillError):
    """The price tables cannot be compiled; carries every fault that was found, at least one."""

    def __init__(self, faults: Sequence[BookFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.table} {fault.id}, {fault.field}: {fault.message}" for fault in faults))
