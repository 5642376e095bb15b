"""One owner with something of every kind that a route can name, and what of it each route's path and body name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.routing import Route
from tests.api.subscriptions.test_imports import send
from tests.fixtures.item_jobs import run, submitted
from tests.fixtures.items import call, create
from tests.fixtures.mill import GUIDE, Mill
from tests.fixtures.two_mills import EVERY_END, FILTERED, post

from ratemill.api.http.paths import RESOURCES
from ratemill.jobs.subscriptions import imports as subscription_imports
from ratemill.setup.objects.registry import OBJECTS
from ratemill.store.connections import driver
from ratemill.store.policies import tables_with_owner
from ratemill.store.subscriptions import jobs as subscription_jobs

Json = dict[str, Any]
FULL = (Path(__file__).parents[1] / "setup" / "full.yaml").read_text().replace("owner: full\n", "")
SUBSCRIPTIONS = Path(__file__).parents[2] / "examples" / "subscriptions" / "subscription_all_types.jsonl"
PLURALS = ("products", "plans", "subscribers", "offerings", "subscriptions")
KEY = "a key of mine"


# Bodies that routes accept as far as the object of the path is looked for, by the end or the beginning of the path.
_BY_END: dict[str, Json] = {"/WriteOff": {"note": "because"}, "/Resubmit": {"data": EVERY_END[0]}}
_BY_BEGINNING: dict[str, Json] = {
    "/DataImport/Usage/Json/Multi/": {"data": [{"date": "2022-05-01"}]},
    "/DataImport/Usage/Json/": {"date": "2022-05-01"},
    "/DataImport/Usage/": {"data": [EVERY_END[0]]},
    "/api/Import/{named}/Batch/": {"pageNumber": 0, "items": [{"id": "x"}]},
    "/v2/subscriptions/": {"data": {}},
    "/api/data/user{number}fields": {"type": "string"},
    "/api/data/": {"description": "mine now"},
}

TABLES = [table for table in tables_with_owner() if table != "owner_backlogs"]  # counted again as time passes


def statement(table: str) -> str:
    """Return the statement that makes a digest of an owner's rows of a table."""
    row = "(to_jsonb(t) - 'used_at')::text" if table == "tokens" else "t::text"
    return f"select md5(string_agg({row}, '|' order by {row})) from {table} t where owner_id = %s"


class Owned:
    """What an owner has: ids by the path that names them, and the names that no other owner may read."""

    def __init__(self, mine: Mill) -> None:
        self.mine = mine
        mine.apply(GUIDE)
        mine.apply(FILTERED)
        mine.apply(FULL)
        self.tracking_id = post(mine, *EVERY_END)
        mine.post_rows(EVERY_END[0], headers={"Idempotency-Key": KEY})
        mine.work()
        self.ids: dict[str, list[str]] = {}
        self.objects: dict[str, Json] = {}
        self._usage()
        self._items()
        self._subscriptions()
        self._setup()

    def _usage(self) -> None:
        (history,) = self._page("/DataImport/History/Paged", udrFeedName="Guide Feed", importBatchId=self._batch())
        self.ids |= {
            "/DataImport/History/Exception/": [
                self._first("/DataImport/History/Exception/Paged", "dataImportExceptionId")
            ],
            "/Udr/Usage/Exception/": [self._first("/Udr/Usage/Exception/Paged", "id")],
            "/DataImport/Batch/": [str(self._batch())],
            "/Udr/Charge/": [self._first("/Udr/Charge/Paged", "identity")],
            "/DataImport/Usage/": ["guideFeed", "Guide Feed", str(history["udrFeedId"])],
        }
        self.histories = [str(history["identity"]), history["requestTrackingId"], history["dataImportTrackingId"]]
        answer = self.mine.request("POST", "/UsageRatedExceptionSchedule/Reprocess", content='{"all": true}')
        assert answer.status_code == 200, answer.text
        self.ids["/UsageRatedExceptionSchedule/"] = [str(answer.json()["results"]["items"][0]["identity"])]

    def _items(self) -> None:
        item = create(self.mine, {"id": "secret item", "ud_secret": "x"})
        job = submitted(self.mine, [{"id": "batched item"}])
        run(self.mine)
        batch = self.mine.request(
            "POST", "api/Import/User1s/Batch", json={"importFileName": "open", "pageSize": 2, "totalItems": 2}
        )
        listed = call(self.mine, "POST", "user1lists", {"description": "secret list", "inclusions": []})
        call(self.mine, "POST", "user1fields", {"name": "ud_declared", "type": "string"})
        self.ids |= {
            "/api/data/user{number}/": [item["guid"]],
            "/api/data/user{number}lists/": [listed.json()["result"]["guid"]],
            "/api/data/user{number}fields/": ["ud_declared", "ud_secret"],
            "/api/Import/Jobs/": [job],
            "/api/Import/{named}/Batch/": [str(batch.json()["result"]["batchId"])],
        }
        self.histories.append(job)

    def _subscriptions(self) -> None:
        sent = send(self.mine, SUBSCRIPTIONS.read_bytes())
        assert sent.status_code == 201, sent.text
        import_id = sent.json()["data"]["id"]
        while due := self._due():
            for number in due:
                subscription_imports.run_table(self.mine.database, self.mine.settings, number)
        self.ids["/v2/subscriptions/imports/"] = [import_id]
        self.histories.append(import_id)
        self.ids["/DataImport/History/"] = self.histories
        for plural in PLURALS:
            found = self.mine.request("GET", f"v2/subscriptions/{plural}").json()["data"][0]
            self.ids[f"/v2/subscriptions/{plural}/"] = [found["id"]]
            self.objects[plural] = {name: found[name] for name in ("type", "attributes")}

    def _due(self) -> list[int]:
        with self.mine.database.worker() as connection:
            return list(subscription_jobs.due(connection))

    def _setup(self) -> None:
        for each in OBJECTS:
            path = f"/{each.path.rstrip('/')}"
            found = [item for item in self.mine.request("GET", path).json()["items"] if item["ownerId"] is not None]
            self.ids[f"{path}/"] = [str(found[-1]["identity"])]
        change = self._page("/Setup/Change/Paged")[0]
        self.ids["/Setup/Change/"] = [str(change["identity"])]
        self.ids["/Token/"] = [str(self._page("/Token/Paged")[0]["identity"])]

    def _batch(self) -> int:
        return int(self.mine.value("select min(batch_id) from batches"))

    def _page(self, path: str, **parameters: Any) -> list[Json]:
        answer = self.mine.request("GET", path, params=parameters)
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()["pagedResults"]["items"]
        assert found, path
        return found

    def _first(self, path: str, *names: str) -> str:
        found = self._page(path)[0]
        return str(next(found[name] for name in names if name in found))

    def ids_of(self, route: Route) -> list[str]:
        """Return what of the owner's the path of a route may name; fails for a route that is not known here."""
        before = template(route).split("{")[0] if not template(route).startswith("/api/") else template(route)
        matching = [prefix for prefix in self.ids if before.removeprefix("/internal").startswith(prefix)]
        assert matching, f"say in tests/api/owned.py what of an owner {route.path} names"
        return self.ids[max(matching, key=len)]

    def body_of(self, route: Route, method: str, id_: str) -> str | None:
        """Return a body that a route accepts as far as the object of its path is looked for."""
        path = template(route).removeprefix("/internal")
        if method in {"GET", "DELETE"}:
            return None
        if path.endswith("/PriceList"):
            return "usageClassName,amount\ndata_class,1\n"
        if path.startswith("/v2/subscriptions/") and method == "PUT":
            return json.dumps({"data": {**self.objects[path.split("/")[3]], "id": id_}})
        found = [body for end, body in _BY_END.items() if path.endswith(end)]
        found += [body for beginning, body in _BY_BEGINNING.items() if path.startswith(beginning)]
        if not found and method == "PATCH":
            list_name = next(each.list_name for each in OBJECTS if path == f"/{each.path.rstrip('/')}/{{identity}}")
            found = [{list_name: {"items": [{"patchType": "update", "identity": int(id_)}]}}]
        return json.dumps(found[0] if found else {})

    def names(self) -> set[str]:
        """Return the names of the owner's set-up, items and subscriptions that are its own."""
        found = {
            "secret item",
            "batched item",
            "secret list",
            "ud_secret",
            "ud_declared",
            "648-688-4180",
            self.tracking_id,
        }
        found |= {"Guide Feed", "guideFeed", "Acme", "Standard", "Main USD", "guide_csv", "everything", "every1"}
        found |= {each for ids in self.ids.values() for each in ids if len(each) == len(self.tracking_id)}
        return found

    def digest(self) -> dict[str, str]:
        """Return a digest of every row that the owner has, but when its tokens were used."""
        owner_id = self.mine.value("select owner_id from owners where name = %s", self.mine.owner)
        with self.mine.database.worker() as connection:
            return {
                table: str(driver(connection).execute(statement(table), (owner_id,)).fetchone()) for table in TABLES
            }


def template(route: Route) -> str:
    """Return the path of a route without version and convertors."""
    path = route.path.replace(RESOURCES, "")
    for convertor in (":identity", ":characteristics", ":characteristic"):
        path = path.replace(convertor, "")
    return path
