"""What the job of a batch finds wrong with its items, as it is kept and told."""

from __future__ import annotations

from dataclasses import asdict

from ratemill.reference.characteristics.values import ItemFault
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.visible import shown


def fault(code: str, message: str, where: str) -> dict[str, str]:
    """Return a fault; ``where`` is the path of the member in its page."""
    return asdict(ItemFault(code, message, where))


def at(job: ItemJob, number: int) -> str:
    """Return the path of an item in its page, by its number in the batch."""
    return f"items[{number % job.page_size}]"


def ambiguous(where: str, member: str, key: str, value: str) -> dict[str, str]:
    """Return that a member of the item at ``where`` names several items."""
    return fault(
        "reference_ambiguous", f"{shown(member)}: several items have the {key} '{shown(value)}'", f"{where}.{member}"
    )


def not_processed(where: str, error: str) -> dict[str, str]:
    """Return that our work failed on the item at ``where``."""
    return fault("could_not_be_processed", f"the item could not be processed: {error}", where)
