"""How fast the rating kernel is, alone: records a second of CPU time on one Polars thread, and what compiling takes.

Run it as ``POLARS_MAX_THREADS=1 python -m bench.rating``. The month's shape: 20,000 services, 5,000 prefixes of six
lengths each with a place and a rate of its own, 1 % unknown identifiers, 1 % numbers without a place.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

import polars as pl

from ratemill.columns import ACCOUNTS, IDENTIFIERS, SERVICES, USAGE
from ratemill.rating.book import SCHEMAS, PriceTables, compile_book
from ratemill.rating.rate import Holders, rate

SERVICES_COUNT = 20_000
PREFIX_LENGTHS = (2, 3, 4, 5, 6, 7)
PREFIXES_COUNT = 5_000
REPEATS = 15
START = datetime(2022, 5, 1, tzinfo=UTC)


def shaped(table: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return ``table`` with every column of ``schema``, null where it has none."""
    absent = [pl.lit(None).alias(name) for name in schema if name not in table.columns]
    return table.with_columns(absent).select(schema.names()).cast(dict(schema))


def price_tables(prefixes: list[str]) -> PriceTables:
    """Return one plan with one group: a rate by the minute for each prefix's place."""
    places = pl.DataFrame({"pattern": prefixes}).with_row_index("location_id", offset=2)
    located = {"rate_group_id": 1, "usage_class_id": 1, "amount": "0.0123", "per": 60, "calculation": "perUnit"}
    charged = {"rounding_minimum": "30", "rounding_increment": "6", "connection_charge": "0.05"}
    tables = {
        "classes": pl.DataFrame(
            [{"usage_class_id": 1, "usage_class": "calls", "base_unit": "Time", "rater": "GeoTree"}]
        ),
        "plans": pl.DataFrame([{"rate_plan_id": 1}]),
        "plan_groups": pl.DataFrame([{"rate_plan_id": 1, "priority": 1, "rate_group_id": 1}]),
        "groups": pl.DataFrame(
            [{"rate_group_id": 1, "currency": "USD", "places": 2, "is_pass_through": False, "use_for_cost": False}]
        ),
        "rates": places.select(
            "location_id",
            rate_id="location_id",
            **{name: pl.lit(value) for name, value in (located | charged).items()},
        ),
        "locations": places.select("location_id", location="pattern", parent_location_id=pl.lit(1)).vstack(
            pl.DataFrame({"location_id": [1], "location": ["Everywhere"], "parent_location_id": [None]}).cast(
                {"location_id": pl.UInt32, "parent_location_id": pl.Int32}
            )
        ),
        "patterns": places,
        "location_group_members": pl.DataFrame(),
    }
    shapes = {name: shaped(table, SCHEMAS[name]) for name, table in tables.items()}
    return PriceTables(owner_places=2, owner_rounding="half_up", owner_rate_plan_id=None, **shapes)


def usage(rows: int, prefixes: list[str], chance: random.Random) -> pl.DataFrame:
    """Return ``rows`` calls of a month."""
    calls = pl.DataFrame(
        {
            "row_index": range(1, rows + 1),
            "service": [chance.randrange(int(SERVICES_COUNT * 1.01)) for _ in range(rows)],
            "second": [chance.randrange(30 * 86_400) for _ in range(rows)],
            "quantity": [chance.randrange(3_600) for _ in range(rows)],
            "terminating_identifier": [
                chance.choice(prefixes) + "5551234" if chance.randrange(100) else "none" for _ in range(rows)
            ],
        }
    )
    columns = calls.with_columns(
        submission_id=pl.lit(1),
        batch_id=pl.lit(1),
        usage_at=pl.lit(START) + pl.duration(seconds="second"),
        identifier_type=pl.lit("Unknown"),
        usage_identifier=pl.format("648-688-{}", "service"),
        reverse_rating=pl.lit(value=False),
        usage_class_id=pl.lit(1),
    )
    return shaped(columns, USAGE)


def holders(table: pl.DataFrame) -> Holders:
    """Return the holders that bear the table's identifiers: two services an account, every account on plan 1."""
    services = pl.select(service_id=pl.int_range(SERVICES_COUNT)).with_columns(account_id=pl.col("service_id") // 2)
    identifiers = services.select(
        "service_id", usage_identifier=pl.format("648-688-{}", "service_id"), identifier_type=pl.lit("Unknown")
    ).join(table, on="usage_identifier", how="semi")
    borne = services.join(identifiers, on="service_id", how="semi").with_columns(service=pl.lit("Line"))
    accounts = borne.select("account_id").unique().with_columns(currency=pl.lit("USD"), rate_plan_id=pl.lit(1))
    return Holders(shaped(identifiers, IDENTIFIERS), shaped(borne, SERVICES), shaped(accounts, ACCOUNTS))


def main() -> None:
    """Print the figures."""
    chance = random.Random(1)
    prefixes: set[str] = set()
    while len(prefixes) < PREFIXES_COUNT:
        length = chance.choice(PREFIX_LENGTHS)
        prefixes.add(str(chance.randrange(10 ** (length - 1), 10**length)))
    ordered = sorted(prefixes)
    tables = price_tables(ordered)
    start = time.perf_counter()
    book = compile_book(tables, version=1)
    print(f"compile {PREFIXES_COUNT} rates: {time.perf_counter() - start:.3f} s")
    for rows in (1_000, 20_000, 100_000):
        table = usage(rows, ordered, chance)
        held = holders(table)
        result = rate(table, book, held)
        taken = []
        for _ in range(REPEATS):
            start = time.process_time()
            rate(table, book, held)
            taken.append(time.process_time() - start)
        median = sorted(taken)[REPEATS // 2]
        ends = f"{result.charges.height} charges, {result.exceptions.height} exceptions"
        print(
            f"{rows} rows: {median * 1000:.1f} ms, best {min(taken) * 1000:.1f} ms, {rows / median:,.0f} rows/s; {ends}"
        )


if __name__ == "__main__":
    main()
