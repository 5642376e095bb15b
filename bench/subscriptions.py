"""``python -m bench.subscriptions``: files of subscription objects in a running product, from the first byte to the end."""

from __future__ import annotations

import http.client
import json
import os
import platform
import random
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

from bench.product import Product, memory_watched, running, tree, wait_until

RECORDS = 50_000
BAR_RECORDS_A_SECOND = 5_000
BAR_MEMORY_MB = 300  # above idle, over all processes
_TICKS = os.sysconf("SC_CLK_TCK")

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mix:
    """How many records of a file are of which type; the others are subscriptions."""

    products: int
    plans: int
    subscribers: int
    offerings: int


EVEN = Mix(10_000, 10_000, 10_000, 10_000)
MOSTLY_SUBSCRIPTIONS = Mix(1_000, 1_000, 10_000, 3_000)


def main() -> int:
    """Measure and print; exit 1 where one of the first two imports is below its bar, or the memory of any above."""
    with tempfile.TemporaryDirectory(prefix="ratemill-bench-") as folder, running(_set_up(Path(folder))) as product:
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; load {os.getloadavg()}"
        )
        figures = [
            _import(product, "mostly subscriptions, all new", catalogue("a")),
            _import(product, "as many of each type, all new", catalogue("even", EVEN)),
            _import(product, "the same again, all refused", catalogue("a")),
            _import(product, "the same as upsert", catalogue("a"), "?upsert=true"),
            _import(product, "others, as a dry run", catalogue("b"), "?dry_run=true"),
            _import(product, "nothing but faults", ["{" for _ in range(RECORDS)]),
            _import(product, "48 MB: 36,000 products of 1.3 kB", large()),
            _import(product, "four lines of 10 MB", long_lines()),
        ]
        _kill(product, catalogue("killed"))
    are_fast = all(rate >= BAR_RECORDS_A_SECOND for rate, _ in figures[:2])
    return 0 if are_fast and max(memory for _, memory in figures) < BAR_MEMORY_MB else 1


def catalogue(prefix: str, mix: Mix = MOSTLY_SUBSCRIPTIONS) -> list[str]:
    """Return the lines of a file of all types, shuffled: what a line refers to may come later."""
    rng = random.Random(prefix)
    lines = [*(_line("subscription_product", product(prefix, at)) for at in range(mix.products))]
    lines += [_line("subscription_plan", plan(prefix, at)) for at in range(mix.plans)]
    lines += [_line("subscription_subscriber", _person(prefix, at)) for at in range(mix.subscribers)]
    lines += [_line("subscription_offering", _offering(prefix, at, mix)) for at in range(mix.offerings)]
    lines += [_line("subscription", _subscription(prefix, at, mix, rng)) for at in range(RECORDS - len(lines))]
    rng.shuffle(lines)
    return lines


def large() -> list[str]:
    """Return a file near the limit of bytes: each record is long."""
    return [
        _line("subscription_product", {**product("large", at), "description": f"{at:06d} " + 80 * "description "})
        for at in range(36_000)
    ]


def long_lines() -> list[str]:
    """Return lines of 10 MB: an attribute that nobody knows, which is kept, and a name that is too long."""
    unknown = [_line("subscription_product", {**product("long", at), "unknown": 10_000_000 * "x"}) for at in range(2)]
    wrong = [_line("subscription_product", {"name": 10_000_000 * "x"})]
    return [*unknown, *wrong, "[" * 10_000_000]


def product(prefix: str, at: int) -> Attributes:
    """Return a product in two currencies."""
    return {
        "external_ref": f"{prefix}-product-{at}",
        "name": f"Product {at}",
        "description": f"Product {at} of the catalogue: a description of ordinary length, as shops have it",
        "sku": f"{77_000_000 + at}",
        "main_image": f"https://cdn.example.com/img/{at}.jpg",
        "price": {"USD": {"amount": 1299, "includes_tax": False}, "GBP": {"amount": 999, "includes_tax": True}},
        "price_units": {"unit": "month", "amount": 1},
    }


def plan(prefix: str, at: int) -> Attributes:
    """Return a plan."""
    return {
        "external_ref": f"{prefix}-plan-{at}",
        "name": f"Plan {at}",
        "description": "Billed every month for a year, renews.",
        "billing_interval_type": "month",
        "billing_frequency": 1,
        "trial_period": 1,
        "plan_length": 12,
        "end_behavior": "roll" if at % 2 else "close",
        "can_pause": True,
        "can_resume": True,
        "can_cancel": True,
        "base_price_percentage": 90,
    }


def _person(prefix: str, at: int) -> Attributes:
    account = UUID(int=random.Random(f"{prefix}{at}").getrandbits(128), version=4)
    return {"account_id": str(account), "name": f"Subscriber {at}", "email": f"subscriber.{at}@example.com"}


def _offering(prefix: str, at: int, mix: Mix) -> Attributes:
    return {
        "external_ref": f"{prefix}-offering-{at}",
        "name": f"Offering {at}",
        "description": "Some products under some plans",
        "products": [f"{prefix}-product-{(at * step) % mix.products}" for step in (1, 7)],
        "plans": [f"{prefix}-plan-{(at + step) % mix.plans}" for step in range(3)],
    }


def _subscription(prefix: str, at: int, mix: Mix, rng: random.Random) -> Attributes:
    offering = rng.randrange(mix.offerings)
    return {
        "external_ref": f"{prefix}-subscription-{at}",
        **_person(prefix, at % mix.subscribers),
        "currency": "USD",
        "manual_payments": False,
        "offering_external_ref": f"{prefix}-offering-{offering}",
        "selected_plan": f"{prefix}-plan-{(offering + at % 3) % mix.plans}",
        **({"pending": True} if at % 4 == 0 else {"first_invoice_paid": True, "started_at": "2026-10-01T00:00:00Z"}),
    }


def _line(kind: str, attributes: Attributes) -> str:
    return json.dumps({"data": {"type": kind, "attributes": attributes}})


def _set_up(folder: Path) -> Path:
    (folder / "set-up.yaml").write_text("ratemill: 1\n")
    return folder / "set-up.yaml"


def _import(product: Product, what: str, lines: list[str], query: str = "") -> tuple[float, float]:
    """Send a file and wait for its end; return records a second from the first byte on, and MB above idle."""
    body, count = _body(lines), len(lines)
    with memory_watched(product) as memory:
        used, start = _cpu_s(product), perf_counter()
        made = _call(product, "POST", f"/v2/subscriptions/imports{query}", body)
        received, path = perf_counter(), f"/v2/subscriptions/imports/{made['id']}"

        wait_until(lambda: _has_ended(product, path), "the import does not end", seconds=600)
        ended = perf_counter()
    spent = {name: value - used.get(name, 0) for name, value in _cpu_s(product).items()}
    shown = _call(product, "GET", path)
    rate, above = count / (ended - start), max(memory) - memory[0]
    imported = _imported(shown)
    print(f"{what:<32} {rate:>8,.0f} records/s: {ended - start:6.2f} s for {count:,}, {len(body) / 1e6:.1f} MB", end="")
    print(f" (receipt {received - start:.2f}, job {ended - received:.2f}) {shown['attributes']['status']}", end="")
    print(f", {imported:,} imported; memory {memory[0]:.0f} MB before, {above:.0f} more at most", end="")
    print("; CPU s " + ", ".join(f"{name} {value:.1f}" for name, value in spent.items() if value >= 0.1), flush=True)
    return rate, above


def _kill(product: Product, lines: list[str]) -> None:
    """Kill the process of the job in the middle of an import; print when the next table was committed, and the count."""
    made = _call(product, "POST", "/v2/subscriptions/imports", _body(lines))
    path = f"/v2/subscriptions/imports/{made['id']}"
    wait_until(lambda: _imported(_call(product, "GET", path)) > RECORDS / 2, "nothing is imported", seconds=600)
    supervisor, _ = product.roots()
    (job,) = (pid for pid in tree(supervisor) if b"jobs" in (words := _words(pid)) and b"--spare" not in words)
    os.kill(job, signal.SIGKILL)
    killed, before = perf_counter(), _imported(_call(product, "GET", path))
    wait_until(lambda: _imported(_call(product, "GET", path)) > before, "nobody takes it up", seconds=600)
    taken_up = perf_counter() - killed
    wait_until(lambda: _has_ended(product, path), "the import does not end", seconds=600)
    imported = _imported(_call(product, "GET", path))
    print(
        f"killed with {before:,} imported: the next table {taken_up:.2f} s later; {imported:,} of {len(lines):,} at the end"
    )


def _has_ended(product: Product, path: str) -> bool:
    return _call(product, "GET", path)["attributes"]["status"] in ("success", "failed")


def _imported(shown: dict[str, Any]) -> int:
    return sum(shown["meta"]["records"]["imported"].values())


def _body(lines: list[str]) -> bytes:
    head = b'--bench\r\nContent-Disposition: form-data; name="import_file"; filename="b.jsonl"\r\n\r\n'
    return head + "\n".join(lines).encode() + b"\r\n--bench--\r\n"


def _call(product: Product, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=120)
    headers = {"Authorization": f"Bearer {product.token}", "Content-Type": "multipart/form-data; boundary=bench"}
    connection.request(method, path, body, headers if body else headers | {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    if response.status >= 300:
        raise RuntimeError(f"{response.status}: {str(answer)[:500]}")
    found: dict[str, Any] = answer["data"]
    return found


def _cpu_s(product: Product) -> dict[str, float]:
    """Return the processor time that the product's processes have used, the database's together."""
    supervisor, server = product.roots()
    found = {"PostgreSQL": sum(_ticks(pid) for pid in tree(server)) / _TICKS}
    for pid in tree(supervisor):
        command = _words(pid)
        word = command[3].decode() if len(command) > 4 else "other"  # python -m ratemill WORD
        found[word] = found.get(word, 0) + _ticks(pid) / _TICKS
    return found


def _words(pid: int) -> list[bytes]:
    return (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")


def _ticks(pid: int) -> int:
    try:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(int(each) for each in fields[11:15])


if __name__ == "__main__":
    sys.exit(main())
