"""Import History shows imports of subscription data beside requests of usage and batches, with counts that tie."""

import json
from threading import Event
from typing import Any

from tests.fixtures.histories import counted, histories, history
from tests.fixtures.mill import Mill, guide_row

from ratemill.jobs.runner import Runner


def product(ref: str, **more: Any) -> str:
    attributes = {"external_ref": ref, "name": f"Product {ref}", **more}
    return json.dumps({"data": {"type": "subscription_product", "attributes": attributes}})


def sent(guide: Mill, *lines: str, query: str = "", **parts: str) -> str:
    """Send a file; return the id of its import."""
    files = {"import_file": "\n".join(lines).encode()}
    answer = guide.request("POST", f"v2/subscriptions/imports{query}", files=files, data=parts)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def run(guide: Mill) -> None:
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass


def test_imports_stand_among_requests_and_batches_newest_first_and_no_number_names_two(guide: Mill):
    first = guide.post_rows(guide_row(1)).json()["trackingId"]
    import_id = sent(guide, product("a"), "no JSON", "", product("b", name=None), external_ref="october")
    body = {"importFileName": "f", "pageSize": 10, "totalItems": 1, "pageNumber": 0, "items": [{"id": "A"}]}
    batch = guide.request("POST", "api/Import/User3s/Batch?submit", json=body).json()["result"]["jobQueueGuid"]
    guide.work()
    run(guide)
    shown = histories(guide)
    assert [each["requestTrackingId"] for each in shown] == [batch, import_id, first]
    kinds = [each["importBatchTypeName"] for each in shown]
    assert kinds == ["Characteristics By API", "Subscriptions By API", "Usage By API"]
    assert len({each["identity"] for each in shown}) == 3
    for each in shown:
        assert history(guide, each["identity"]) == history(guide, each["dataImportTrackingId"]) == each
    found = shown[1]
    assert list(found) == [*list(shown[2]), "subscriptionImport"]  # every member of a request, in its order
    assert counted(found) == (3, 1, 2, 0, 0)
    assert found["ratedCount"] is found["ratingWaitingCount"] is found["udrFeedName"] is found["fileName"] is None
    assert found["dataImportHistoryStatusTypeName"] == "Done"
    assert found["created"] <= found["importStart"] <= found["importEnd"]
    dialect = guide.request("GET", f"v2/subscriptions/imports/{import_id}").json()["data"]
    assert found["subscriptionImport"] == {
        "id": import_id,
        "external_ref": "october",
        "status": "success",
        "dry_run": False,
        "records": dialect["meta"]["records"],
    }
    assert dialect["meta"]["records"]["imported"]["subscription_product"] == 1


def test_filters_find_what_they_mean_of_imports(guide: Mill):
    guide.post_rows(guide_row(1))
    import_id = sent(guide, product("a"))

    def found(**filters: str) -> list[str]:
        return [each["importBatchTypeName"].split()[0] for each in histories(guide, **filters)]

    assert found(importBatchTypeName="subscriptions by api") == ["Subscriptions"]
    assert found(importBatchTypeName="Usage By API") == found(udrFeedName="Guide Feed") == ["Usage"]
    assert found(importBatchTypeName="Characteristics By API") == found(importBatchId="1") == []
    assert found(dataImportHistoryStatusTypeName="Accepted") == ["Subscriptions", "Usage"]
    guide.change("update subscription_imports set state = 'started' where import_id = %s", import_id)
    assert found(dataImportHistoryStatusTypeName="Processing") == ["Subscriptions"]
    guide.change("update subscription_imports set state = 'pending' where import_id = %s", import_id)
    run(guide)
    assert found(dataImportHistoryStatusTypeName="Done") == ["Subscriptions"]
    assert found(**{"from": "2020-01-01", "to": "2020-01-02"}) == []
    assert found(**{"from": "2020-01-01"}) == ["Subscriptions", "Usage"]


def test_pages_of_any_number_and_size_hold_every_history_once(guide: Mill):
    ids = [guide.post_rows(guide_row(1)).json()["trackingId"], *(sent(guide, product(ref)) for ref in "abc")]

    def on_page(number: int, size: int) -> list[str]:
        asked = {"pageNumber": number, "pageSize": size}
        answer = guide.request("GET", "/DataImport/History/Paged", params=asked)
        return [each["requestTrackingId"] for each in answer.json()["pagedResults"]["items"]]

    for size in (1, 2, 3, 10_000):
        assert [key for number in range(1, 5) for key in on_page(number, size)] == ids[::-1]
    assert on_page(4, 10_000) == on_page(2**31, 10_000) == []


def test_a_line_waits_until_it_comes_to_one_end(guide: Mill):
    import_id = sent(guide, product("a"), product("b"), "no JSON")
    assert counted(history(guide, import_id)) == (3, 0, 0, 0, 3)
    assert history(guide, import_id)["dataImportHistoryStatusTypeName"] == "Accepted"
    runner = Runner(guide.database, guide.settings, Event())
    seen = set()
    while runner.step():
        (only,) = histories(guide)
        seen.add((only["dataImportHistoryStatusTypeName"], *counted(only)))
    assert ("Processing", 3, 0, 1, 0, 2) in seen
    answer = guide.request("GET", f"/DataImport/History/{import_id}", params={"wait": "30"})
    assert counted(answer.json()["instance"]) == (3, 2, 1, 0, 0)


def test_a_dry_run_imports_nothing_and_what_a_failed_job_left_is_skipped(guide: Mill):
    tried = sent(guide, product("a"), product("b", name=None), query="?dry_run=true")
    assert counted(history(guide, tried)) == (2, 0, 0, 0, 2)
    run(guide)
    shown = history(guide, tried)
    assert counted(shown) == (2, 0, 1, 1, 0)
    assert shown["subscriptionImport"]["dry_run"] is True
    assert shown["subscriptionImport"]["records"]["imported"]["subscription_product"] == 1
    failed = sent(guide, product("a"), product("b"), product("c"))
    guide.change(
        """update subscription_imports set state = 'failed', products_imported = 1, lines_refused = 1
        where import_id = %s""",
        failed,
    )
    shown = history(guide, failed)
    assert counted(shown) == (3, 1, 1, 1, 0)
    assert (shown["dataImportHistoryStatusTypeName"], shown["subscriptionImport"]["status"]) == ("Done", "failed")


def test_the_records_of_an_import_are_told_where_to_look_for(guide: Mill):
    import_id = sent(guide, product("a"))
    answer = guide.request("GET", f"/DataImport/History/{import_id}/Record/Paged")
    assert answer.status_code == 404
    assert f"/v2/subscriptions/imports/{import_id}/errors" in json.dumps(answer.json())


def test_an_import_of_another_owner_is_not_there(guide: Mill):
    import_id = sent(guide, product("a"))
    identity = history(guide, import_id)["identity"]
    other = Mill(guide.database, guide.settings, "other", guide.client)
    assert histories(other) == []
    for key in (import_id, identity):
        assert other.request("GET", f"/DataImport/History/{key}").status_code == 404
