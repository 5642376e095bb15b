"""The last pass over a batch: items are linked with those that were written after them."""

from __future__ import annotations

from ratemill import logs
from ratemill.reference.characteristics.upserts import PARENT
from ratemill.store.characteristics import items, staging
from ratemill.store.characteristics.items import StoredUse
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.store.connections import Connection

LINKS_MAX = 20_000  # of one transaction: rows of numbers

log = logs.get(__name__)


def link(connection: Connection, job: ItemJob) -> bool:
    """Link the next items; return whether these were the last."""
    late = staging.late_uses(connection, job, rows_max=LINKS_MAX)
    found = [
        (number, member, item, used) for number, member, item, used in late if item is not None and used is not None
    ]
    if len(found) < len(late):
        log.warning("characteristics_gone", batch_id=job.batch_id, uses=len(late) - len(found))
    uses = [StoredUse(item, member, used) for _, member, item, used in found if member != PARENT]
    items.insert_uses(connection, job.owner_id, uses)
    items.set_parents(connection, {item: used for _, member, item, used in found if member == PARENT})
    staging.drop_uses(connection, job, [(number, member) for number, member, *_ in late])
    return len(late) < LINKS_MAX
