"""The rules of bucket bases, usage buckets and their attachments."""

from __future__ import annotations

from ratemill.setup.declaration import Entry
from ratemill.setup.rules import Findings
from ratemill.setup.world import World


def mark_retired(entry: Entry, world: World) -> Findings:
    """Mark the end of a base that is retired, and clear it of one that is so no longer.

    A base that becomes retired ends now, by the database's clock, unless the same write gives a date; a retired base keeps
    its mark. One that is taken back has no end, unless the write gives another than the mark. Never finds a fault.
    """
    row, stored = entry.row, entry.stored or {}
    was_retired = bool(stored.get("retired"))
    given = entry.given.get("end_at")
    if row["retired"] and not was_retired:
        row["end_at"] = given or world.now()
    elif row["retired"] and row["end_at"] is None:
        row["end_at"] = stored["end_at"]
    elif was_retired and not row["retired"] and given in (None, stored["end_at"]):
        row["end_at"] = None
    yield from ()


def base_unit_in_use(entry: Entry, world: World) -> Findings:
    """Keep the base unit of a base that has rows or is drawn on: their quantities would mean something else."""
    if entry.stored is None or "base_unit_id" not in entry.changes:
        return
    for table, noun in (("bucket_base_details", "rows"),):
        if world.stored_rows(table, ("bucket_base_id",), "bucket_base_id", [entry.identity]):
            unit = world.name("usageBaseUnits", entry.stored["base_unit_id"])
            yield "usageBucketBaseUnitName", f"'{entry.row['name']}' has {noun}, so that its base unit stays {unit}"
            return


def class_counts_as_base(entry: Entry, world: World) -> Findings:
    """Hold the class of a row to the base unit of the base."""
    base = world.row("usageBucketBases", entry.row["bucket_base_id"])
    usage_class = world.row("usageClasses", entry.row["usage_class_id"])
    if base is None or usage_class is None or not {"base_unit_id"} <= base.keys() & usage_class.keys():
        return
    if base["base_unit_id"] != usage_class["base_unit_id"]:
        theirs, mine = (world.name("usageBaseUnits", each["base_unit_id"]) for each in (usage_class, base))
        yield "usageClassName", f"the usage class '{usage_class['name']}' counts {theirs}, the base {mine}"
