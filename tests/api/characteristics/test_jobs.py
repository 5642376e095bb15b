"""Jobs of batches over HTTP: every member of the job, its items by page and outcome, the refused ones, cancel."""

from threading import Event
from typing import Any

import pytest
from tests.fixtures.mill import Mill
from tests.fixtures.seeded import new_id

from ratemill.access.tokens import create_token
from ratemill.jobs.runner import Runner

JOB_MEMBERS = {
    "jobQueueGuid",
    "batchId",
    "state",
    "statusReference",
    "totalCountNumber",
    "completedCountNumber",
    "percentCompleteNumber",
    "createdCount",
    "updatedCount",
    "unchangedCount",
    "refusedCount",
    "warningCount",
    "submittedDatetime",
    "startDatetime",
    "endDatetime",
    "runTimeSecondsNumber",
    "submittedByUserReference",
}
BATCH = {"importFileName": "f", "pageSize": 2, "totalItems": 4}
PAGES = [
    '[{"id":"a"},{"id":"b","parentReference":{"id":"x"}}]',
    '[{"id":"c","ud_n":87.0,"parentReference":{"id":"y"}},{"comment":"no id","unknown":1}]',
]


def opened(guide: Mill) -> dict[str, Any]:
    """Open a batch; return batchId and jobQueueGuid."""
    made: dict[str, Any] = guide.request("POST", "api/Import/UserXs/Batch", json=BATCH).json()["result"]
    return made


def submitted(guide: Mill) -> dict[str, Any]:
    made = opened(guide)
    for number, items in enumerate(PAGES):
        path = f"api/Import/UserXs/Batch/{made['batchId']}?submit={'true' if number else 'false'}"
        answer = guide.request("PATCH", path, content=f'{{"pageNumber":{number},"items":{items}}}')
        assert answer.status_code == 200, answer.text
    return made


def run(guide: Mill) -> None:
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass


def read(guide: Mill, path: str, status: int = 200, method: str = "GET", **options: Any) -> Any:
    answer = guide.request(method, f"api/Import/Jobs/{path}", **options)
    assert answer.status_code == status, answer.text
    shown = answer.json()
    assert set(shown) == {"result", "errors", "warnings", "hasErrors", "hasWarnings"}
    assert shown["hasErrors"] is (status >= 400)
    return shown["errors"] if status >= 400 else shown["result"]


def test_a_job_is_there_from_the_creation_of_its_batch_and_has_every_member(guide: Mill):
    made = opened(guide)
    shown = read(guide, made["jobQueueGuid"])
    assert set(shown) >= JOB_MEMBERS
    assert (shown["state"], shown["batchId"], shown["totalCountNumber"]) == ("open", made["batchId"], 4)
    assert shown["submittedDatetime"] is shown["startDatetime"] is shown["runTimeSecondsNumber"] is None
    read(guide, made["jobQueueGuid"].upper())


def test_a_job_that_ended_adds_up_and_says_when(guide: Mill):
    made = submitted(guide)
    shown = read(guide, made["jobQueueGuid"])
    assert (shown["state"], shown["submittedByUserReference"]) == ("submitted", {"displayName": "tester"})
    run(guide)
    shown = read(guide, made["jobQueueGuid"])
    assert shown["state"] == "completedWithErrors"
    assert shown["statusReference"] == {"displayName": "Completed with errors"}
    counts = {name: shown[f"{name}Count"] for name in ("created", "updated", "unchanged", "refused", "warning")}
    assert counts == {"created": 2, "updated": 0, "unchanged": 0, "refused": 2, "warning": 1}
    assert shown["completedCountNumber"] == shown["totalCountNumber"] == 4
    times = [shown[f"{name}Datetime"] for name in ("submitted", "start", "end")]
    assert times == sorted(times)
    assert all(len(each) == len("2021-08-06T15:52:50.720") for each in times)
    assert shown["runTimeSecondsNumber"] >= 0


def test_items_come_by_page_then_index_in_pages_and_by_outcome(guide: Mill):
    number = submitted(guide)["jobQueueGuid"]
    run(guide)
    shown = read(guide, f"{number}/Items")
    assert set(shown) == {"previousPageUrl", "nextPageUrl", "itemCount", "totalItemCount", "items"}
    found = [(each["pageNumber"], each["index"], each["id"], each["outcome"]) for each in shown["items"]]
    assert found == [(0, 0, "a", "created"), (0, 1, "b", "refused"), (1, 0, "c", "refused"), (1, 1, "1", "created")]
    assert [bool(each["guid"]) for each in shown["items"]] == [True, False, False, True]
    assert shown["items"][3]["warnings"][0]["property"] == "items[1].unknown"
    assert shown["items"][2]["errors"][0]["property"] == "items[0].parentReference"
    part = read(guide, f"{number}/Items", params={"$top": "1", "$skip": "1", "outcome": "REFUSED"})
    assert ([each["id"] for each in part["items"]], part["totalItemCount"], part["nextPageUrl"]) == (["c"], 2, None)
    assert part["previousPageUrl"].endswith("$skip=0&$top=1")
    assert read(guide, f"{number}/Items", 400, params={"outcome": "lost"})[0]["property"] == "outcome"
    assert read(guide, f"{number}/Items", 400, params={"$top": "x"})[0]["property"] == "$top"


def test_refused_items_come_as_they_were_sent_and_can_be_sent_again(guide: Mill):
    made = submitted(guide)
    run(guide)
    answer = guide.request("GET", f"api/Import/Jobs/{made['jobQueueGuid']}/Refused")
    items = '[{"id":"b","parentReference":{"id":"x"}},{"id":"c","ud_n":87.0,"parentReference":{"id":"y"}}]'
    assert f'"result":{{"pageNumber":0,"items":{items}}}' in answer.text
    path = f"{made['jobQueueGuid']}/Refused"
    assert [each["id"] for each in read(guide, path, params={"pageNumber": 1, "pageSize": 1})["items"]] == ["c"]
    assert read(guide, path, params={"pageNumber": 1})["items"] == []
    assert read(guide, path, 400, params={"pageSize": 0})[0]["property"] == "pageSize"
    assert guide.request("POST", f"api/Import/UserXs/Batch/{made['batchId']}/clear").status_code == 200
    assert "cleared" in read(guide, path, 409)[0]["message"]
    assert len(read(guide, f"{made['jobQueueGuid']}/Items")["items"]) == 4


def test_a_job_can_be_cancelled_while_it_waits_and_not_after(guide: Mill):
    made = submitted(guide)
    assert read(guide, f"{made['jobQueueGuid']}/cancel", method="POST")["state"] == "cancelled"
    run(guide)
    assert guide.value("select count(*) from characteristic_items") == 0
    assert "cancelled" in read(guide, f"{made['jobQueueGuid']}/cancel", 409, method="POST")[0]["message"]
    ended = submitted(guide)
    run(guide)
    assert "completedWithErrors" in read(guide, f"{ended['jobQueueGuid']}/cancel", 409, method="POST")[0]["message"]
    assert "open" in read(guide, f"{opened(guide)['jobQueueGuid']}/cancel", 409, method="POST")[0]["message"]


@pytest.mark.parametrize("path", ["", "/Items", "/Refused"])
def test_a_job_that_is_not_there_or_is_of_another_owner_is_404(guide: Mill, path: str):
    number = submitted(guide)["jobQueueGuid"]
    read(guide, f"{new_id()}{path}", 404)
    read(guide, f"nonsense{path}", 404)
    other = Mill(guide.database, guide.settings, "other", guide.client)
    read(other, f"{number}{path}", 404)


def test_who_may_follow_and_who_may_cancel(guide: Mill):
    number = submitted(guide)["jobQueueGuid"]
    read(guide, number, 403, headers={"Authorization": ""})
    reader = create_token(guide.database, owner_name=guide.owner, role="read", name="reader")
    as_reader = {"Authorization": f"Bearer {reader}"}
    read(guide, number, headers=as_reader)
    read(guide, f"{number}/cancel", 403, method="POST", headers=as_reader)


def test_a_wrong_method_is_405_and_an_unknown_parameter_a_warning(guide: Mill):
    number = submitted(guide)["jobQueueGuid"]
    answer = guide.request("DELETE", f"api/Import/Jobs/{number}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    answer = guide.request("GET", f"api/import/jobs/{number}?verbose")
    assert [each["property"] for each in answer.json()["warnings"]] == ["verbose"]
