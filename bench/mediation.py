"""How fast mediation goes: the guide's row by tables of 1,000 to 100,000 rows, on one thread of the table engine.

Run by ``python bench/mediation.py``. Each figure is the best of several runs by the processor's clock of this process,
so that neighbours on the machine count little; the split alone is the floor, measured in the same run.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl

from ratemill.columns import RAW
from ratemill.mediation.mediate import mediate
from ratemill.mediation.profiles.declared import Profile
from ratemill.mediation.profiles.profile import read_profile

RUNS = 15
NAMES = [
    "DateTime",
    "UdrIdentifierTypeName",
    "OriginatingIdentifier",
    "TerminatingIdentifier",
    "UdrUsageIdentifier",
    "Value",
    "Inbound",
    "ReverseRating",
    "UsageClassName",
    "UsageClassTypeName",
    "UniquenessIdentifier",
]
CLASSES = pl.DataFrame(
    {"usage_class": ["data_class"], "usage_class_id": [1]}, schema_overrides={"usage_class_id": pl.Int32}
)


def guide_rows(rows: int) -> list[str]:
    """Return different rows in the guide's form."""
    return [
        f"2022-05-01T01:{at % 60:02d}:{at * 7 % 60:02d}.{at % 100:02d},Unknown,4038675309,4038675345,"
        f"648-688-{at % 10_000:04d},{at % 997},False,False,data_class,Data_1,2022-05-01T01:01:00.{at:06d}"
        for at in range(rows)
    ]


def quoted(rows: list[str]) -> list[str]:
    """Return the rows with every field in quotes."""
    return ['"' + row.replace(",", '","') + '"' for row in rows]


def quoted_inside(rows: list[str]) -> list[str]:
    """Return the rows with a delimiter inside a quoted field: they are read one by one."""
    return [row.replace("Unknown", '"Un,known"') for row in rows]


def objects(rows: list[str]) -> list[str]:
    """Return the rows as JSON objects."""
    return [json.dumps(dict(zip(NAMES, row.split(","), strict=True))) for row in rows]


def one_bad_in_a_hundred(rows: list[str]) -> list[str]:
    """Return the rows, one in a hundred of them without a number."""
    return [row.replace("Unknown,", "Unknown,x,") if at % 100 == 0 else row for at, row in enumerate(rows)]


def table(texts: list[str], *, is_object: bool = False) -> pl.DataFrame:
    """Return texts as a raw table."""
    count = len(texts)
    return pl.DataFrame(
        {
            "submission_id": [1 + at // 1_000 for at in range(count)],
            "row_index": [1 + at % 1_000 for at in range(count)],
            "batch_id": [1] * count,
            "accepted_at": [datetime(2022, 5, 2, tzinfo=UTC)] * count,
            "is_object": [is_object] * count,
            "raw": texts,
        },
        schema=RAW,
    )


def split(raw: pl.DataFrame) -> pl.DataFrame:
    """Split rows and do nothing else."""
    return raw["raw"].str.split_exact(",", len(NAMES)).struct.unnest()


def seconds(work: Callable[[], object]) -> float:
    """Return the best of several runs."""
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def show(what: str, rows: int, taken: float) -> None:
    """Print one figure."""
    print(f"{what:44s} {rows:8,d} rows {taken * 1e3:9.2f} ms {rows / taken:12,.0f} rows/s")


def main() -> None:
    """Measure and print."""
    fields = [{"name": name} for name in NAMES]
    profile = read_profile({"name": "guide_csv", "format": "csv", "fields": fields})
    unchecked = read_profile({"name": "unchecked", "format": "csv", "fields": fields, "duplicateKey": []})
    print(f"Python {platform.python_version()}, Polars {pl.__version__}, {pl.thread_pool_size()} thread(s)")

    def measure(what: str, raw: pl.DataFrame, by: Profile = profile) -> None:
        show(what, raw.height, seconds(lambda: mediate(raw, by, usage_classes=CLASSES)))

    for rows in (1, 1_000, 10_000, 20_000, 100_000):
        measure("the guide's row", table(guide_rows(rows)))
    texts = guide_rows(20_000)
    raw = table(texts)
    show("the floor: the split alone", 20_000, seconds(lambda: split(raw)))
    measure("without duplicate keys", raw, unchecked)
    measure("one bad row in a hundred", table(one_bad_in_a_hundred(texts)))
    measure("every field in quotes", table(quoted(texts)))
    measure("a delimiter in quotes in every row", table(quoted_inside(texts)))
    measure("JSON objects", table(objects(texts), is_object=True))


if __name__ == "__main__":
    main()
