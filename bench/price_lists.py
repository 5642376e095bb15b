"""``python -m bench.price_lists``: price lists of 200,000 rows over HTTP in a running product, and the lint of the plan."""

from __future__ import annotations

import http.client
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from typing import Any

from bench.product import PATH, Product, pss_mb, running

ROWS = 200_000
LOCATIONS = 10_000
CLASSES = ROWS // LOCATIONS
BAR_S = 20.0

SET_UP = """ratemill: 1
usageRateGroups: [{name: Main, currencyName: USD}]
usageRatePlans: [{name: Plan, usageRateGroupNames: [Main]}]
usageClasses:
"""


def main() -> int:
    """Measure and print; exit 1 where the list of prefixes is over its bar."""
    with tempfile.TemporaryDirectory(prefix="ratemill-bench-") as folder, running(_set_up(Path(folder))) as product:
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; load {os.getloadavg()}"
        )
        group = product.get(product.connect(), "/Usage/Rate/Group")["items"][0]["identity"]
        plan = product.get(product.connect(), "/Usage/Rate/Plan")["items"][0]["identity"]
        patterns, rates = "/GeoTree/Location/Pattern/PriceList", f"/Usage/Rate/Group/{group}/PriceList"
        seconds = _post(product, "patterns, all new", patterns, _patterns())
        _post(product, "the same, nothing new", patterns, _patterns())
        _post(product, "rates, preview", f"{rates}?preview=true", _rates("0.0"))
        _post(product, "rates, all new", rates, _rates("0.0"))
        _post(product, "rates, all changed", rates, _rates("1.0"))
        _post(product, "rates, 5 % changed at a date, the rest the same", f"{rates}?mode=replace", _rates("1.0", 20))
        start = perf_counter()
        found = product.get(product.connect(), f"/Usage/Rate/Plan/{plan}/Lint")["instance"]
        counts = [found[name] for name in ("errorCount", "warningCount", "noticeCount")]
        print(f"{'lint of the plan':<50} {perf_counter() - start:6.2f} s   {counts}")
    return 0 if seconds <= BAR_S else 1


def _set_up(folder: Path) -> Path:
    classes = "".join(
        f"  - {{name: c{at}, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}}\n" for at in range(CLASSES)
    )
    (folder / "set-up.yaml").write_text(f"{SET_UP}{classes}geoTreeLocations: {{csv: locations.csv}}\n")
    (folder / "locations.csv").write_text("name\n" + "".join(f"L{at}\n" for at in range(LOCATIONS)))
    return folder / "set-up.yaml"


def _patterns() -> str:
    rows = "".join(f"{100_000 + at},L{at % LOCATIONS}\n" for at in range(ROWS))
    return f"name,geoTreeLocationName\n{rows}"


def _rates(whole: str, every: int = 0) -> str:
    rows = "".join(
        f"c{at // LOCATIONS},L{at % LOCATIONS},{'2.0' if every and not at % every else whole}{at % 9973 + 1:05d}\n"
        for at in range(ROWS)
    )
    return f"usageClassName,geoTreeLocationName,amount\n{rows}"


def _post(product: Product, what: str, path: str, text: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=600)
    headers = {"Authorization": f"Bearer {product.token}", "Content-Type": "text/csv"}
    over, slowest, roots = Event(), [0.0], [product.pid]
    watch = Thread(target=_watch, args=(product, over, slowest))
    watch.start()
    start = perf_counter()
    connection.request("POST", PATH + path, text.encode(), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    seconds = perf_counter() - start
    over.set()
    watch.join()
    if response.status != 200:
        raise RuntimeError(str(answer)[:500])
    print(f"{what:<50} {seconds:6.2f} s   {_counts(answer['results']['items'][0]['instance'])}", end="   ")
    print(f"slowest GET meanwhile {slowest[0] * 1_000:.0f} ms, processes {pss_mb(roots):.0f} MB")
    return seconds


def _counts(instance: dict[str, Any]) -> str:
    parts = [f"{instance[name]['totalCount']} {name}" for name in ("added", "changed", "removed", "refused")]
    return ", ".join([*parts, f"{instance['unchangedCount']} unchanged"])


def _watch(product: Product, over: Event, slowest: list[float]) -> None:
    """Keep the longest answer of a call that any client may make meanwhile."""
    connection = product.connect()
    while not over.wait(0.2):
        start = perf_counter()
        product.get(connection, "/Usage/Rate/Group")
        slowest[0] = max(slowest[0], perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
