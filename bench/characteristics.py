"""``python -m bench.characteristics``: batches of 100,000 items in a running product, received, submitted and processed."""

from __future__ import annotations

import http.client
import json
import os
import platform
import random
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.product import Product, memory_watched, running, wait_until

ITEMS, PAGE = 100_000, 1_000
PARENTS = 1_000
SEED_ITEMS = 20_000
CLIENTS = 4
BAR_ITEMS_A_SECOND = 5_000

Item = dict[str, Any]


def main() -> int:
    """Measure and print; exit 1 where the first import is below its bar."""
    with tempfile.TemporaryDirectory(prefix="ratemill-bench-") as folder, running(_set_up(Path(folder))) as product:
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; load {os.getloadavg()}"
        )
        rate = _import(product, "catalogue, all new", 1, ITEMS, catalogue_item)
        _import(product, "the same again", 1, ITEMS, catalogue_item)
        _import(product, "a tenth changed", 1, ITEMS, _changed)
        _import(product, "four times as many, all new", 2, 4 * ITEMS, catalogue_item)
        _import(product, "what the items of the guide name", 3, 2, lambda at: {"id": ("idOfParent", "exampleID")[at]})
        guide = json.loads((Path(__file__).parent.parent / _GUIDE).read_text())["items"][0]
        guide["user3BOMHeaders"] = guide.pop("user1BOMHeaders")
        for header in guide["user3BOMHeaders"]:
            header["user3BOMDetails"] = header.pop("user1BOMDetails")
            for detail in header["user3BOMDetails"]:
                detail["udKey3Reference"] = detail.pop("udKey1Reference")
        _import(product, "the guide's own item, all members", 3, SEED_ITEMS, lambda at: {**guide, "id": f"G{at}"})
    return 0 if rate >= BAR_ITEMS_A_SECOND else 1


_GUIDE = "tests/cases/characteristic_batches/page_request.json"


def catalogue_item(at: int) -> Item:
    """Return an item of a catalogue: ten members; a tenth have a bill of two components, a twentieth a lookup."""
    rng = random.Random(at)
    item: Item = {
        "id": f"P{at:07d}",
        "description": f"Product {at} of the catalogue: a title of ordinary length",
        "comment": "as delivered",
        "adminClassReference": {"id": f"class {at % 20}"},
        "ipRightsBearingFlag": at % 2 == 0,
        "royaltyBearingFlag": True,
        "ud_genre": rng.choice(["Drama", "Comedy", "Documentary"]),
        "ud_minutes": rng.randint(5, 180),
        "ud_distributor": {"id": f"D{at % 500}"},
    }
    if at >= PARENTS:
        item["parentReference"] = {"id": f"P{at % PARENTS:07d}"}
    if at % 10 == 3:
        names = [f"P{rng.randrange(ITEMS) // 10 * 10 + 7:07d}" for _ in range(2)]  # items that have no bill: no circle
        details = [{"udKey{n}Reference": {"id": name}, "allocationPercent": 50, "quantity": 1} for name in names]
        item["user{n}BOMHeaders"] = [{"effectiveFromDate": "2021-08-06T00:00:00", "user{n}BOMDetails": details}]
    if at % 20 == 5:
        row = {"rate1Range": "2.3:5.2", "fromDate": "2019-08-24T14:15:22Z", "contact1Reference": {"id": f"C{at % 97}"}}
        item["udLookup_terms"] = {"udfLookupItems": [{**row, "ud_terms": "T1", "udKeyXReference": {"id": "P0000000"}}]}
    return item


def _changed(at: int) -> Item:
    return {**catalogue_item(at), **({"comment": "changed"} if at % 10 == 0 else {})}


def _set_up(folder: Path) -> Path:
    (folder / "set-up.yaml").write_text("ratemill: 1\n")
    return folder / "set-up.yaml"


def _import(product: Product, what: str, number: int, count: int, item: Callable[[int], Item]) -> float:
    """Send a batch by several clients and wait for its job; return items a second, from the first byte on."""
    bodies = _bodies(number, count, item)
    path = f"/api/Import/User{number}s/Batch"
    with memory_watched(product) as memory:
        start = perf_counter()
        frame = {"importFileName": "bench", "pageSize": PAGE, "totalItems": count}
        made = _call(product, "POST", path, json.dumps(frame).encode())
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda body: _call(product, "PATCH", f"{path}/{made['batchId']}", body), bodies))
        received = perf_counter()
        _call(product, "PATCH", f"{path}/{made['batchId']}?Submit", b"")
        job = f"/api/Import/Jobs/{made['jobQueueGuid']}"
        wait_until(lambda: _call(product, "GET", job)["endDatetime"], "the job does not end", seconds=600)
        ended = perf_counter()
    shown = _call(product, "GET", job)
    counts = {name: shown[f"{name}Count"] for name in ("created", "updated", "unchanged", "refused")}
    rate = count / (ended - start)
    print(f"{what:<36} {rate:>8,.0f} items/s: {ended - start:6.2f} s for {count:,}", end="")
    print(f" (receipt {received - start:.2f}, job {ended - received:.2f})  {counts}", end="")
    print(f"  memory {memory[0]:.0f} MB before, {max(memory):.0f} MB at most", flush=True)
    return rate


def _bodies(number: int, count: int, item: Callable[[int], Item]) -> list[bytes]:
    pages = range(0, count, PAGE)
    texts = (
        json.dumps({"pageNumber": at // PAGE, "items": [item(n) for n in range(at, min(at + PAGE, count))]})
        for at in pages
    )
    return [text.replace("{n}", str(number)).encode() for text in texts]


def _call(product: Product, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=120)
    headers = {"X-AlliantSession": product.token, "Content-Type": "application/json"}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    if response.status >= 300:
        raise RuntimeError(f"{response.status}: {str(answer)[:500]}")
    found: dict[str, Any] = answer["result"]
    return found


if __name__ == "__main__":
    sys.exit(main())
