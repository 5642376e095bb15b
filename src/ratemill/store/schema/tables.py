"""Every table of the product. The migrations must build exactly this; a test compares the two by ``pg_dump``.

Two rules hold throughout. A table whose rows belong to an owner has ``owner_id`` and row-level security (``policies.py``
finds it by that column). The tables that take a row for every record have no foreign keys and as few indexes as their
readers can live with: each further index costs a third of the load speed.
"""

from __future__ import annotations

from ratemill.store.schema import (
    characteristic_changes,
    characteristics,
    owners,
    processes,
    setup_objects,
    subscriptions,
    usage,
)
from ratemill.store.schema.columns import metadata

__all__ = [
    "characteristic_changes",
    "characteristics",
    "metadata",
    "owners",
    "processes",
    "setup_objects",
    "subscriptions",
    "usage",
]
