"""How fast set-up objects are read back: pages and searches over 1,000,000 rates, by `python -m bench.setup_objects`.

The rates are written by SQL, for their reading is measured; each call goes through the running product's own socket.
"""

from __future__ import annotations

import http.client
import json
import tempfile
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psycopg

from bench.product import PATH, Product, running
from ratemill.settings import Settings
from ratemill.store.embedded import embedded

RATES = 1_000_000
LOCATIONS = 200_000
CLASSES = 5
ROUNDS = 15
_years = count(2000)
PAGE_MS_MAX = 50  # a page on an idle system
_FILL = f"""
insert into rate_groups (owner_id, name, currency) values (1, 'Large', 'USD'), (1, 'Small', 'USD');
insert into usage_classes (owner_id, name, base_unit_id, rater)
    select 1, 'class ' || n, 1, 'GeoTree' from generate_series(1, {CLASSES}) n;
insert into locations (owner_id, name, parent_location_id)
    select 1, 'location ' || n, (select location_id from locations where owner_id = 1 and built_in)
    from generate_series(1, {LOCATIONS}) n;
insert into location_patterns (owner_id, name, location_id)
    select 1, '9' || n, l.location_id from generate_series(1, {LOCATIONS}) n join locations l on l.name = 'location ' || n;
insert into rates (owner_id, rate_group_id, usage_class_id, location_id, amount)
    select 1, (select rate_group_id from rate_groups where name = 'Large'), c.usage_class_id, l.location_id,
        (l.location_id % 997) / 1000.0
    from usage_classes c cross join locations l where not l.built_in;
insert into rates (owner_id, rate_group_id, usage_class_id, location_id, amount)
    select 1, (select rate_group_id from rate_groups where name = 'Small'), c.usage_class_id, l.location_id, 1
    from usage_classes c cross join (select * from locations where not built_in order by 1 limit 10) l;
update price_books set version = version + 1;
"""
_OTHER_OWNER = """
insert into rate_groups (owner_id, name, currency) select owner_id, 'Own', 'USD' from owners where name = 'second';
insert into usage_classes (owner_id, name, base_unit_id) select owner_id, 'own', 1 from owners where name = 'second';
insert into rates (owner_id, rate_group_id, usage_class_id, amount)
    select o.owner_id, g.rate_group_id, c.usage_class_id, 1 from owners o join rate_groups g using (owner_id)
    join usage_classes c using (owner_id) where o.name = 'second';
"""


def main() -> None:
    """Fill a home of its own, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "set-up.yaml"
        document.write_text("ratemill: 1\n")
        with running(document) as product:
            second = product.command(
                "token", "create", "--role", "read", "--owner", "second", "--create-owner"
            ).split()[-1]
            server = embedded.ensure(Settings(home=product.home))
            with psycopg.connect(server.admin_dsn(embedded.DATABASE), autocommit=True) as connection:
                connection.execute(_FILL)
                connection.execute(_OTHER_OWNER)
                connection.execute("vacuum analyze")
            measure(product, product.token, "one owner with 1,000,000 rates")
            measure_after_changes(product)
            measure_small(product, second)


def measure(product: Product, token: str, about: str) -> None:
    """Print the time of each kind of call."""
    print(f"{about}: median of {ROUNDS} in ms, and the first call after a change")
    connection = product.connect()
    last = RATES // 20
    show("first page", lambda: page(connection, token, "/Usage/Rate/Paged"))
    show("first page without total", lambda: page(connection, token, "/Usage/Rate/Paged?excludeTotalCount=true"))
    far = cycle(range(7, last, last // 13))
    show("a page anywhere", lambda: page(connection, token, f"/Usage/Rate/Paged?pageNumber={next(far)}"))
    onward = count(last // 2)
    show("page by page, in the middle", lambda: page(connection, token, f"/Usage/Rate/Paged?pageNumber={next(onward)}"))
    show("last page", lambda: page(connection, token, f"/Usage/Rate/Paged?pageNumber={last}"))
    show("one", lambda: page(connection, token, "/Usage/Rate/500000"))
    show("page of one class", lambda: page(connection, token, "/Usage/Rate/Paged?usageClassName=class%203"))
    show(
        "page of a group with few rates", lambda: page(connection, token, "/Usage/Rate/Paged?usageRateGroupName=Small")
    )
    show("page of one location", lambda: page(connection, token, "/Usage/Rate/Paged?geoTreeLocationName=location%2077"))
    for what, query in {
        "search: amount over 0.99": {"search": [{"name": "amount", "operator": "gt", "value": "0.99"}]},
        "search: group and class": {
            "search": [
                {"name": "usageRateGroupName", "operator": "eq", "value": "Large"},
                {"name": "usageClassName", "operator": "eq", "value": "class 2"},
            ]
        },
        "search: ordered by class": {"orderBy": [{"name": "usageClassName"}], "top": 20},
        "search: ordered by amount": {"orderBy": [{"name": "amount"}], "top": 20},
        "search: ordered by location": {"orderBy": [{"name": "geoTreeLocationName"}], "top": 20},
    }.items():
        show(what, lambda query=query: search(connection, token, "/Usage/Rate/Search", query))  # type: ignore[misc]
    prefix = {"search": [{"name": "name", "operator": "startsWith", "value": "91234"}]}
    show(
        "patterns that start with 91234", lambda: search(connection, token, "/GeoTree/Location/Pattern/Search", prefix)
    )
    by_name = {"orderBy": [{"name": "name"}], "top": 20}
    show("locations by name", lambda: search(connection, token, "/GeoTree/Location/Search", by_name))
    group = page(connection, token, "/Usage/Rate/Group/Paged?name=Large")["pagedResults"]["items"][0]["identity"]
    show("group with 1,000,000 rates, detail", lambda: page(connection, token, f"/Usage/Rate/Group/{group}/Detail"))
    show("the same, where it is used", lambda: page(connection, token, f"/Usage/Rate/Group/{group}/References"))


def measure_after_changes(product: Product) -> None:
    """Print what a page takes each time after another change of the set-up."""
    print("each call after a change")
    connection = product.connect()
    show(
        "first page, after a rate", lambda: page(connection, product.token, "/Usage/Rate/Paged"), _another_rate(product)
    )
    one_class = "/Usage/Rate/Paged?usageClassName=class%203"
    show("page of one class, after a rate", lambda: page(connection, product.token, one_class), _another_rate(product))
    show("page of one class, after a location", lambda: page(connection, product.token, one_class), _location(product))


def _another_rate(product: Product) -> Callable[[], None]:
    return _creating(
        product,
        "/Usage/Rate/",
        '{{"usageRateGroupName": "Small", "usageClassName": "class 1", "amount": 1, '
        '"start": "{0}-01-01", "end": "{0}-06-01"}}',
    )


def _location(product: Product) -> Callable[[], None]:
    return _creating(product, "/GeoTree/Location/", '{{"name": "place {0}"}}')


def _creating(product: Product, path: str, body: str) -> Callable[[], None]:
    connection = product.connect()
    headers = {"Authorization": f"Bearer {product.token}", "Content-Type": "application/json"}

    def create() -> None:
        connection.request("POST", PATH + path, body.format(next(_years)).encode(), headers)
        _answer(connection)

    return create


def measure_small(product: Product, token: str) -> None:
    """Print what an owner of one rate waits beside the owner of a million."""
    print("an owner of one rate beside it")
    connection = product.connect()
    show("first page", lambda: page(connection, token, "/Usage/Rate/Paged"))


def show(what: str, call: Callable[[], Any], before: Callable[[], None] = lambda: None) -> None:
    """Call several times, each after ``before``; print the first and the median."""
    times = []
    for _ in range(ROUNDS):
        before()
        began = perf_counter()
        call()
        times.append((perf_counter() - began) * 1_000)
    middle = median(times)
    print(f"  {what:<40} {middle:>9.1f}   first {times[0]:>9.1f}   {'' if middle <= PAGE_MS_MAX else 'ABOVE'}")


def page(connection: http.client.HTTPConnection, token: str, path: str) -> dict[str, Any]:
    """Read one page."""
    connection.request("GET", PATH + path, headers={"Authorization": f"Bearer {token}"})
    return _answer(connection)


def search(connection: http.client.HTTPConnection, token: str, path: str, query: dict[str, Any]) -> dict[str, Any]:
    """Search for one page."""
    body = json.dumps({"query": query}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", PATH + path, body, headers)
    return _answer(connection)


def _answer(connection: http.client.HTTPConnection) -> dict[str, Any]:
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(content[:2_000])
    read: dict[str, Any] = json.loads(content)
    return read


if __name__ == "__main__":
    main()
