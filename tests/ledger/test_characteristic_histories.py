"""Import History shows batches of characteristics beside requests of usage, with counts that tie."""

import json
from threading import Event
from typing import Any

from tests.fixtures.histories import counted, histories, history
from tests.fixtures.mill import Mill, guide_row

from ratemill.jobs.runner import Runner


def sent(guide: Mill, *items: dict[str, Any], query: str = "?submit", total: int | None = None) -> dict[str, Any]:
    """Open a batch with one page; return batchId and jobQueueGuid."""
    body = {"importFileName": "products", "pageSize": 10, "totalItems": total or len(items), "pageNumber": 0}
    answer = guide.request("POST", f"api/Import/User3s/Batch{query}", json={**body, "items": items})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["result"]
    return made


def run(guide: Mill) -> None:
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass


def test_batches_stand_among_the_requests_newest_first_and_no_number_names_two(guide: Mill):
    first = guide.post_rows(guide_row(1)).json()
    batch = sent(guide, {"id": "A"}, {"id": "B", "parentReference": {"id": "nobody"}})
    last = guide.post_rows(guide_row(2)).json()
    guide.work()
    run(guide)
    shown = histories(guide)
    kinds = [each["importBatchTypeName"] for each in shown]
    assert kinds == ["Usage By API", "Characteristics By API", "Usage By API"]
    tracking_ids = [each["requestTrackingId"] for each in shown]
    assert tracking_ids == [last["trackingId"], batch["jobQueueGuid"], first["trackingId"]]
    assert len({each["identity"] for each in shown}) == 3
    assert list(shown[1])[: len(shown[0])] == list(shown[0])  # every member of a request, in its order
    for each in shown:
        assert history(guide, each["identity"]) == history(guide, each["requestTrackingId"]) == each
    items = shown[1]
    assert counted(items) == (2, 1, 1, 0, 0)
    assert (items["dataImportHistoryStatusTypeName"], items["fileName"]) == ("Done", "products")
    assert items["ratedCount"] is items["udrFeedName"] is None
    assert items["characteristicBatch"] == {**batch, "characteristic": 3, "state": "completedWithErrors"}
    assert items["created"] <= items["importStart"] <= items["importEnd"]


def test_filters_find_what_they_mean_of_both(guide: Mill):
    guide.post_rows(guide_row(1))
    sent(guide, {"id": "A"})
    sent(guide, {"id": "B"}, query="", total=2)

    def found(**filters: str) -> list[str]:
        return [each["importBatchTypeName"].split()[0] for each in histories(guide, **filters)]

    assert found() == ["Characteristics", "Characteristics", "Usage"]
    assert found(importBatchTypeName="characteristics by api") == ["Characteristics", "Characteristics"]
    assert found(importBatchTypeName="Usage By API") == ["Usage"]
    assert found(importBatchTypeName="By Pigeon") == []
    assert found(udrFeedName="guide feed") == ["Usage"]
    assert len(found(dataImportHistoryStatusTypeName="Accepted")) == 3
    assert found(importBatchId="1") == []
    run(guide)
    guide.work()
    assert found(dataImportHistoryStatusTypeName="Accepted") == ["Characteristics"]
    assert found(dataImportHistoryStatusTypeName="Done") == ["Characteristics", "Usage"]
    assert found(**{"from": "2020-01-01", "to": "2020-01-02"}) == []
    assert len(found(**{"from": "2020-01-01"})) == 3
    pages = [
        guide.request("GET", "/DataImport/History/Paged", params={"pageSize": 1, "pageNumber": number}).json()[
            "pagedResults"
        ]["items"]
        for number in (1, 2, 3)
    ]
    assert [page[0]["identity"] for page in pages] == [each["identity"] for each in histories(guide)]


def test_what_is_received_counts_until_it_is_cleared_and_ends_somewhere(guide: Mill):
    batch = sent(guide, {"id": "A"}, {"id": "B"}, query="", total=3)
    guid, path = batch["jobQueueGuid"], f"api/Import/User3s/Batch/{batch['batchId']}"
    assert counted(history(guide, guid)) == (2, 0, 0, 0, 2)
    assert history(guide, guid)["dataImportHistoryStatusTypeName"] == "Accepted"
    guide.request("POST", f"{path}/clear")
    assert counted(history(guide, guid)) == (0, 0, 0, 0, 0)
    assert history(guide, guid)["dataImportHistoryStatusTypeName"] == "Done"
    cancelled = sent(guide, {"id": "A"}, {"id": "B"})
    guide.request("POST", f"api/Import/Jobs/{cancelled['jobQueueGuid']}/cancel")
    assert counted(history(guide, cancelled["jobQueueGuid"])) == (2, 0, 0, 2, 0)
    imported = sent(guide, {"id": "A"}, {"id": "B"})
    assert counted(history(guide, imported["jobQueueGuid"])) == (2, 0, 0, 0, 2)
    run(guide)
    guide.request("POST", f"api/Import/User3s/Batch/{imported['batchId']}/clear")
    assert counted(history(guide, imported["jobQueueGuid"])) == (2, 2, 0, 0, 0)
    failed = sent(guide, {"id": "C"}, {"id": "D"})
    guide.change(
        "update characteristic_batches set state = 'failed', items_created = 1 where job_id = %s",
        failed["jobQueueGuid"],
    )
    assert counted(history(guide, failed["jobQueueGuid"])) == (2, 1, 0, 1, 0)


def test_who_waits_is_answered_when_no_item_waits(guide: Mill):
    batch = sent(guide, {"id": "A"})
    run(guide)
    answer = guide.request("GET", f"/DataImport/History/{batch['jobQueueGuid']}", params={"wait": "30"})
    assert counted(answer.json()["instance"]) == (1, 1, 0, 0, 0)


def test_the_records_of_a_batch_are_told_where_to_look_for(guide: Mill):
    guid = sent(guide, {"id": "A"})["jobQueueGuid"]
    answer = guide.request("GET", f"/DataImport/History/{guid}/Record/Paged")
    assert answer.status_code == 404
    assert f"/api/Import/Jobs/{guid}/Items" in json.dumps(answer.json())


def test_a_batch_of_another_owner_is_not_there(guide: Mill):
    guid = sent(guide, {"id": "A"})["jobQueueGuid"]
    other = Mill(guide.database, guide.settings, "other", guide.client)
    assert histories(other) == []
    assert other.request("GET", f"/DataImport/History/{guid}").status_code == 404
