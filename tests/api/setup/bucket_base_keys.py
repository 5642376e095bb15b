"""The keys of a bucket base as the reference prints them."""

from __future__ import annotations

NINE = [
    "identity",
    "ownerId",
    "ownerName",
    "name",
    "start",
    "end",
    "retired",
    "usageBucketBaseUnitId",
    "usageBucketBaseUnitName",
]
