"""``python -m bench.setup_writes``: how fast waiting usage is rated while the set-up is written over HTTP.

The guide's columns and a book of 1,000,000 rates. 100,000 records are accepted while the workers are held up; then they
are let go, and the clock runs until nothing waits. Runs with and without writes take turns. Exit 1 below the bar.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from statistics import median
from threading import Event
from time import perf_counter, sleep

import psycopg

from bench import month
from bench.load import at_share
from bench.product import PATH, Product, running, tree
from ratemill.settings import Settings
from ratemill.store import owners
from ratemill.store.connections import Database
from ratemill.store.embedded import embedded

BAR = 0.8  # throughput with writes over that without
CLASSES = 5
SENDERS = 8
OWNER_ID = 1
FEED = "checked"
WAIT_S_MAX = 600
_FILL = """
insert into usage_classes (owner_id, name, base_unit_id, rater)
    select 1, 'class ' || n, 1, 'GeoTree' from generate_series(1, {classes}) n;
insert into locations (owner_id, name, parent_location_id)
    select 1, 'location ' || n, (select location_id from locations where owner_id = 1 and built_in)
    from generate_series(1, {locations}) n;
insert into rates (owner_id, rate_group_id, usage_class_id, location_id, amount)
    select 1, (select rate_group_id from rate_groups where name = 'World'), c.usage_class_id, l.location_id,
        (l.location_id % 997) / 1000.0
    from usage_classes c cross join locations l where c.name like 'class %' and l.name like 'location %';
update price_books set version = version + 1;
"""


@dataclass(frozen=True, slots=True)
class Objects:
    """What the writes change: identities of rates that the usage meets and of others, identifiers, accounts, a service."""

    rates: list[int]
    identifiers: list[int]
    accounts: list[int]
    service_id: int


@dataclass(slots=True)
class Writes:
    """The writes of one run: how long each took, and from the first to the last."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """Return what is printed of them."""
        if not self.latencies:
            return ""
        a_second = len(self.latencies) / self.seconds
        p50, p99 = (at_share(self.latencies, share) * 1000 for share in (0.5, 0.99))
        return f"   {len(self.latencies)} writes, {a_second:.1f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms"


def main() -> int:
    """Measure and print; exit 1 below the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, default=1_000_000, help="rates of the book")
    parser.add_argument("--records", type=int, default=100_000, help="waiting records of a run")
    parser.add_argument("--rounds", type=int, default=5, help="runs with writes, and as many without")
    parser.add_argument("--writes", type=float, default=20.0, help="writes a second")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ratemill-bench-") as folder,
        running(month.write_set_up(Path(folder))) as product,
    ):
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        print(f"{machine}; load {os.getloadavg()}")
        return _measure(product, asked)


def _measure(product: Product, asked: argparse.Namespace) -> int:
    server = embedded.ensure(Settings(home=product.home))
    with psycopg.connect(server.admin_dsn(embedded.DATABASE), autocommit=True) as connection:
        connection.execute(_FILL.format(classes=CLASSES, locations=asked.rates // CLASSES))
        connection.execute("vacuum analyze")
        objects = _objects(connection)
        database = Database(server.dsn(), Settings(home=product.home))
        bodies = (month.requests(asked.records // month.ROWS_A_REQUEST, seed=seed) for seed in count(1))
        _run(product, database, connection, next(bodies))  # both workers read the book and most identifiers
        figures: dict[bool, list[float]] = {False: [], True: []}
        for number in range(2 * asked.rounds):
            with_writes = bool(number % 2)
            writes = Writes()
            sent = next(bodies)
            with _writing(product, objects, asked.writes if with_writes else 0, writes):
                seconds, used = _run(product, database, connection, sent)
            figures[with_writes].append(asked.records / seconds)
            about = "with writes" if with_writes else "without"
            rate = f"{asked.records / seconds:>12,.0f} records/s, {used / asked.records * 1e6:.0f} us of processor each"
            print(f"{about:<14}{rate}{writes.line()}", flush=True)
        database.close()
    ratio = median(figures[True]) / median(figures[False])
    print(f"throughput with writes over without, medians of {asked.rounds}: {ratio:.2f} (bar {BAR})")
    print(product.command("audit").strip().splitlines()[-1])
    return 0 if ratio >= BAR else 1


def _run(
    product: Product, database: Database, connection: psycopg.Connection[tuple[int]], bodies: list[bytes]
) -> tuple[float, float]:
    """Return how long the records of ``bodies`` take, all of them waiting when the clock starts, and the processor time.

    That is of all processes of the product, the database's too: it says more than the clock on a machine that is shared.
    """
    with database.worker() as holding:
        owners.wait_for_usage(holding, OWNER_ID, accepts=False)
        with ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(lambda part: _send(product, part), [bodies[at::SENDERS] for at in range(SENDERS)]))
    start, used = perf_counter(), _processor_s(product)
    while _waiting(connection):
        if perf_counter() - start > WAIT_S_MAX:
            raise TimeoutError(f"{_waiting(connection)} requests wait after {WAIT_S_MAX} s")
        sleep(0.02)
    return perf_counter() - start, _processor_s(product) - used


def _processor_s(product: Product) -> float:
    """Return the processor time that the living processes of the product have used."""
    ticks = 0
    for pid in (pid for root in product.roots() for pid in tree(root)):
        try:
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def _waiting(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("select count(*) from submissions where rows_waiting > 0").fetchone()
    return row[0] if row else 0


def _send(product: Product, bodies: list[bytes]) -> None:
    connection = product.connect()
    for body in bodies:
        product.post(connection, FEED, body)
    connection.close()


def _objects(connection: psycopg.Connection[tuple[int]]) -> Objects:
    def found(statement: str) -> list[int]:
        return [int(row[0]) for row in connection.execute(statement)]  # type: ignore[arg-type]

    met = found("select rate_id from rates join usage_classes using (usage_class_id) where name = 'voice' limit 500")
    others = found(
        "select rate_id from rates join usage_classes using (usage_class_id) where name = 'class 1' limit 500"
    )
    return Objects(
        [each for pair in zip(met, others, strict=True) for each in pair],
        found("select identifier_id from identifiers limit 1000"),
        found("select account_id from accounts limit 1000"),
        found("select min(service_id) from services")[0],
    )


@contextmanager
def _writing(product: Product, objects: Objects, a_second: float, writes: Writes) -> Iterator[None]:
    """Write the set-up so often while the block runs; not at all for 0."""
    if not a_second:
        yield
        return
    over = Event()
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(_write, product, objects, a_second, writes, over)
        try:
            yield
        finally:
            over.set()
        written.result()


def _write(product: Product, objects: Objects, a_second: float, writes: Writes, over: Event) -> None:
    connection = product.connect()
    calls = _calls(objects)
    start = perf_counter()
    for number in count():
        if over.wait(max(0.0, start + number / a_second - perf_counter())):
            break
        method, path, members = next(calls)
        begun = perf_counter()
        _call(product, connection, method, path, members)
        writes.latencies.append(perf_counter() - begun)
    writes.seconds = perf_counter() - start


_news = count()


def _calls(objects: Objects) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield the writes: amounts of rates, new and changed identifiers, new and changed accounts."""
    rates, identifiers, accounts = (cycle(ids) for ids in (objects.rates, objects.identifiers, objects.accounts))
    while True:
        number = next(_news)
        new = f"new {os.getpid()} {number}"
        yield "PUT", f"/Usage/Rate/{next(rates)}", {"amount": f"0.{number % 9_000 + 1_000}"}
        yield (
            "PUT",
            f"/Account/Service/UsageIdentifier/{next(identifiers)}",
            {"end": f"2099-01-01T00:{number % 60:02d}:00"},
        )
        yield "PUT", f"/Account/{next(accounts)}", {"usageBillDay": number % 28 + 1}
        yield "PUT", f"/Usage/Rate/{next(rates)}", {"amount": f"0.{number % 9_000 + 1_000}"}
        identifier = {"udrUsageIdentifier": new, "accountServiceId": objects.service_id}
        yield "POST", "/Account/Service/UsageIdentifier", identifier
        yield "POST", "/Account", {"name": new, "currencyName": "USD", "usageRatePlanName": "Standard"}


def _call(
    product: Product, connection: http.client.HTTPConnection, method: str, path: str, members: dict[str, object]
) -> None:
    headers = {"Authorization": f"Bearer {product.token}", "Content-Type": "application/json"}
    connection.request(method, PATH + path, json.dumps(members), headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {body[:500]!r}")


if __name__ == "__main__":
    sys.exit(main())
