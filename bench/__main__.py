"""``make bench``: measure, print every bar with its figure, exit 1 below a first bar of a part that is built."""

from __future__ import annotations

import argparse
import io
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psycopg

from bench import load, month
from bench.product import Product, running
from ratemill.settings import Settings
from ratemill.store.embedded import embedded

SWITCH_S = 0.0005  # the clients are threads: none waits long for another one's turn
ROUNDS = 60  # single records for the latency on an idle system
WARM_UP_REQUESTS = 60  # both workers have read the price book and most identifiers then


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the design: what, the first bar, the goal, and whether more is better."""

    what: str
    unit: str
    first: float
    goal: float
    more_is_better: bool = True

    def line(self, figure: float | None) -> tuple[str, bool]:
        """Return the printed line, and whether the first bar is met."""
        if figure is None:
            return f"{self.what:<66} {'not yet':>12}   first {self.first:g}, goal {self.goal:g} {self.unit}", True
        met = figure >= self.first if self.more_is_better else figure <= self.first
        goal = figure >= self.goal if self.more_is_better else figure <= self.goal
        verdict = "goal" if goal else "first bar" if met else "BELOW"
        bounds = f"first {self.first:g}, goal {self.goal:g} {self.unit}"
        return f"{self.what:<66} {figure:>12,.3f}   {bounds:<36} {verdict}", met


BARS = {
    "checked": Bar("accepted to committed, duplicate check on", "records/s", 60_000, 90_000),
    "unchecked": Bar("accepted to committed, duplicate check off", "records/s", 80_000, 150_000),
    "checked_ratio": Bar("the same over the floor, duplicate check on", "", 0.18, 0.28),
    "unchecked_ratio": Bar("the same over the floor, duplicate check off", "", 0.25, 0.47),
    "accept": Bar("accept, 1,000 records, 16 clients, p99", "ms", 100, 30, more_is_better=False),
    "latency": Bar("one record: accept to charge readable, idle, p99", "s", 2, 1.2, more_is_better=False),
    "memory": Bar("memory at any backlog", "GB", 1.5, 1, more_is_better=False),
    "stored": Bar("throughput with 20 M charges stored over empty", "", 0.8, 0.95),
    "total": Bar("a month's total over 1 M charges", "s", 1, 0.2, more_is_better=False),
    "page": Bar("any console page at 10 M charges", "ms", 300, 100, more_is_better=False),
}


def main() -> int:
    """Measure and print; return the exit code."""
    sys.setswitchinterval(SWITCH_S)
    arguments = _arguments()
    bodies = {feed: month.requests(arguments.requests, seed=seed) for seed, feed in enumerate(month.FEEDS, 1)}
    single = month.requests(ROUNDS // month.ROWS_A_REQUEST + 1, seed=99)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="ratemill-bench-") as folder:
        set_up = month.write_set_up(Path(folder))
        with running(set_up) as product:
            _assert_durable(product)
            _warm_up(product)
            figures["latency"] = _latency_p99(product, single)
            runs = {feed: load.send(product, feed, bodies[feed]) for feed in ("unchecked", "checked")}
            floor = _floor_records_a_second(product)
            audit = product.command("audit")
    for feed, run in runs.items():
        figures[feed] = run.records_a_second
        figures[f"{feed}_ratio"] = run.records_a_second / floor
    figures["accept"] = load.at_share([each for run in runs.values() for each in run.accept_seconds], 0.99) * 1_000
    figures["memory"] = max(run.pss_mb for run in runs.values()) / 1024
    return _print(figures, arguments.requests, floor, audit)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--requests", type=int, default=400, help="requests of 1,000 records a run")
    return parser.parse_args()


def _assert_durable(product: Product) -> None:
    with _database(product) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute(f"show {name}").fetchone()
            if row is None or row[0] != "on":
                raise RuntimeError(f"{name} is {row}: a figure taken so would not be true")


def _warm_up(product: Product) -> None:
    load.send(product, "checked", month.requests(WARM_UP_REQUESTS, seed=77))


def _latency_p99(product: Product, bodies: list[bytes]) -> float:
    import json

    rows = [row for body in bodies for row in json.loads(body)["data"] if "ninety" not in row and ",99999" not in row]
    singles = [json.dumps({"data": [row]}).encode() for row in dict.fromkeys(rows)][:ROUNDS]
    return load.at_share(load.latency_seconds(product, "checked", singles), 0.99)


def _floor_records_a_second(product: Product) -> float:
    """COPY the same charge rows into an unindexed, empty copy of the table."""
    with _database(product) as connection:
        rows = io.BytesIO()
        with connection.cursor().copy("copy charges to stdout (format csv)") as source:
            for chunk in source:
                rows.write(chunk)
        connection.execute("create table charges_floor (like charges)")
        connection.commit()
        start = perf_counter()
        cursor = connection.cursor()
        with cursor.copy("copy charges_floor from stdin (format csv)") as sink:
            data = rows.getbuffer()
            for begin in range(0, len(data), 1 << 20):
                sink.write(data[begin : begin + (1 << 20)])
        connection.commit()
        seconds = perf_counter() - start
        connection.execute("drop table charges_floor")
    return cursor.rowcount / seconds


def _database(product: Product) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(embedded.ensure(Settings(home=product.home)).admin_dsn(embedded.DATABASE))


def _print(figures: dict[str, float], requests: int, floor: float, audit: str) -> int:
    out = sys.stdout.write
    out(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; embedded PostgreSQL, ")
    out("default settings, fsync and synchronous_commit on; load generator on the same machine\n")
    out(f"{requests} requests of 1,000 records a run, {load.CLIENTS} clients; floor (COPY) {floor:,.0f} charges/s\n\n")
    lines = [bar.line(figures.get(name)) for name, bar in BARS.items()]
    out("\n".join(line for line, _ in lines) + "\n\n")
    out(audit)
    return 0 if all(met for _, met in lines) and "The counts tie" in audit else 1


if __name__ == "__main__":
    sys.exit(main())
