"""Jobs of characteristics as the tests order them: items sent and submitted, and what came of them."""

import json
from threading import Event
from typing import Any

from tests.mill import Mill

from ratemill.jobs.runner import Runner

Item = dict[str, Any]


def submitted(
    guide: Mill, items: list[Item], *, number: int = 1, page_size: int = 1_000, submit: str = "?submit", token: str = ""
) -> str:
    """Send items by the page and submit them; return the number of the job."""
    headers = {"Authorization": f"Bearer {token or guide.token}"}
    path = f"api/Import/User{number}s/Batch"
    body = {"importFileName": "products", "pageSize": page_size, "totalItems": len(items)}
    answer = guide.request("POST", path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made = answer.json()["result"]
    for page in range(-(-len(items) // page_size)):
        part = items[page * page_size : (page + 1) * page_size]
        sent = guide.request("PATCH", f"{path}/{made['batchId']}", json={"pageNumber": page, "items": part})
        assert sent.status_code == 200, sent.text
    answer = guide.request("PATCH", f"{path}/{made['batchId']}{submit}", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(made["jobQueueGuid"])


def run(guide: Mill) -> None:
    """Let a runner work until nothing is due."""
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass


def job(guide: Mill, number: str) -> dict[str, Any]:
    answer = guide.request("GET", f"api/Import/Jobs/{number}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["result"]
    return found


def outcomes(guide: Mill, number: str, **parameters: str) -> list[dict[str, Any]]:
    answer = guide.request("GET", f"api/Import/Jobs/{number}/Items", params={"$top": "1000", **parameters})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["result"]["items"]
    return found


def counts(guide: Mill, number: str) -> tuple[int, ...]:
    """Return created, updated, unchanged and refused of a job that ended; they add up to the total."""
    shown = job(guide, number)
    assert shown["state"] in ("completed", "completedWithErrors"), shown
    found = tuple(shown[f"{name}Count"] for name in ("created", "updated", "unchanged", "refused"))
    assert sum(found) == shown["completedCountNumber"] == shown["totalCountNumber"]
    assert shown["percentCompleteNumber"] == 100
    return found


def imported(guide: Mill, *items: Item, **options: Any) -> tuple[int, ...]:
    number = submitted(guide, list(items), **options)
    run(guide)
    return counts(guide, number)


def refused(guide: Mill, *items: Item, **options: Any) -> dict[str | int, list[str]]:
    """Import items and return the codes of those that are refused, by id or index."""
    number = submitted(guide, list(items), **options)
    run(guide)
    counts(guide, number)
    found = outcomes(guide, number, outcome="refused")
    return {each["id"] or each["index"]: [error["code"] for error in each["errors"]] for each in found}


def stored(guide: Mill) -> dict[str, Item]:
    return {id_: json.loads(text) for id_, text in guide.rows("select id, document from characteristic_items")}


def parents(guide: Mill) -> dict[str, str | None]:
    found = (
        "select i.id, p.id from characteristic_items i left join characteristic_items p on p.item_id = i.parent_item_id"
    )
    return dict(guide.rows(found))


def uses(guide: Mill) -> set[tuple[str, str, str]]:
    statement = """select i.id, u.member, o.id from characteristic_uses u
        join characteristic_items i using (item_id) join characteristic_items o on o.item_id = u.used_item_id"""
    return set(guide.rows(statement))


def made_of(id_: str, *components: str, **header: Any) -> Item:
    """Return an item with one bill of materials."""
    details = [{"udKey1Reference": {"id": each}, "allocationPercent": 100 / len(components)} for each in components]
    return {"id": id_, "user1BOMHeaders": [{**header, "user1BOMDetails": details}]}


def child(id_: str, parent: str) -> Item:
    return {"id": id_, "parentReference": {"id": parent}}
