"""A refused row is edited and goes in again: at every instant each record has one end or waits, and nothing is forgotten."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from tests.fixtures.mill import GUIDE, Mill, guide_row
from tests.fixtures.mills import NewMill

from ratemill.access.tokens import create_token
from ratemill.intake import conductor
from ratemill.rating.rate import rate

BAD = guide_row(1, value="ninety")
JSON_FEED = """
ratemill: 1
dataProfiles:
  - name: objects
    format: json
    fields: [{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value}, {name: UsageClassName},
             {name: UniquenessIdentifier}]
udrFeeds: [{name: Objects, apiName: objects, dataProfileName: objects, batchWaitSeconds: 0}]
"""


@pytest.fixture
def guide(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill() as made:
        Mill(made.database, made.settings, "other", made.client).apply(GUIDE)
        yield made


def sent(guide: Mill, *rows: str) -> str:
    answer = guide.post_rows(*rows)
    assert answer.status_code == 200
    guide.work()
    guide.assert_ties()
    return str(answer.json()["trackingId"])


def resubmit(guide: Mill, number: int, data: object) -> Any:
    return guide.request("POST", f"/DataImport/History/Exception/{number}/Resubmit", json={"data": data})


def history(guide: Mill, key: str) -> dict[str, Any]:
    found: dict[str, Any] = guide.request("GET", f"/DataImport/History/{key}").json()["instance"]
    return found


def record(guide: Mill, key: str, row: int) -> dict[str, Any]:
    page = guide.request("GET", f"/DataImport/History/{key}/Record/Paged").json()["pagedResults"]["items"]
    found: dict[str, Any] = page[row - 1]
    return found


def counts(guide: Mill, key: str) -> tuple[int, ...]:
    names = ("recordCount", "importWaitingCount", "importExceptionCount", "importCount", "ratedCount")
    shown = history(guide, key)
    return tuple(shown[name] for name in names)


def test_a_mended_row_waits_then_becomes_a_charge_of_the_same_record(guide: Mill):
    key = sent(guide, guide_row(0), BAD, guide_row(2))
    assert counts(guide, key) == (3, 0, 1, 2, 2)
    first_batch = history(guide, key)["importBatchIds"][0]
    answer = resubmit(guide, 1, guide_row(1, value="90"))
    assert answer.status_code == 200
    assert answer.json()["type"] == "update"
    item = answer.json()["results"]["items"][0]
    assert (
        item["dataImportExceptionStatusTypeName"]
        == item["instance"]["dataImportExceptionStatusTypeName"]
        == "Resubmitted"
    )
    assert (item["action"], item["dataImportExceptionId"]) == ("updated", 1)
    assert counts(guide, key) == (3, 1, 0, 2, 2)
    assert history(guide, key)["dataImportHistoryStatusTypeName"] == "Processing"
    assert record(guide, key, 2)["recordStateName"] == "Waiting"
    assert guide.request("GET", f"/DataImport/Batch/{first_batch}").json()["instance"]["recordCount"] == 2
    guide.assert_ties()
    guide.work()
    guide.assert_ties()
    assert counts(guide, key) == (3, 0, 0, 3, 3)
    assert history(guide, key)["dataImportHistoryStatusTypeName"] == "Done"
    assert guide.value("select amount from charges where row_index = 2") == Decimal("1.107")
    assert record(guide, key, 2)["recordStateName"] == "Rated"
    last_batch = history(guide, key)["importBatchIds"][-1]
    assert last_batch != first_batch
    assert guide.request("GET", f"/DataImport/Batch/{last_batch}").json()["instance"]["recordCount"] == 1


def test_the_row_as_it_was_refused_stays_readable_with_who_edited_it(guide: Mill):
    key = sent(guide, BAD)
    resubmit(guide, 1, guide_row(1))
    guide.work()
    refused = guide.request("GET", "/DataImport/History/Exception/1").json()["instance"]
    assert (refused["dataSnippet"], refused["dataImportExceptionStatusTypeName"]) == (BAD, "Resubmitted")
    life = record(guide, key, 1)
    assert life["dataSnippet"] == BAD
    assert [(each["revisionNumber"], each["createdByUserName"]) for each in life["revisions"]] == [(2, "tester")]


def test_a_row_that_is_refused_again_is_the_next_revision(guide: Mill):
    key = sent(guide, BAD, guide_row(5, value="x"))
    for number, revision in ((1, 2), (3, 3)):
        assert resubmit(guide, number, guide_row(1, value="still")).status_code == 200
        guide.assert_ties()
        guide.work()
        guide.assert_ties()
        found = guide.rows(
            "select revision, state from import_exceptions where row_index = 1 order by revision desc limit 2"
        )
        assert found == [(revision, 1), (revision - 1, 2)]
    assert counts(guide, key) == (2, 0, 2, 0, 0)
    assert resubmit(guide, 4, guide_row(1)).status_code == 200
    guide.work()
    guide.assert_ties()
    assert counts(guide, key) == (2, 0, 1, 1, 1)
    assert [each["revisionNumber"] for each in record(guide, key, 1)["revisions"]] == [2, 3, 4]


def test_a_mended_row_may_be_a_duplicate_or_a_rating_exception(guide: Mill):
    key = sent(guide, guide_row(0), BAD, guide_row(2, value="x"))
    resubmit(guide, 1, guide_row(0))
    resubmit(guide, 2, guide_row(2, identifier="nobody"))
    guide.work()
    guide.assert_ties()
    states = [record(guide, key, row)["recordStateName"] for row in (1, 2, 3)]
    assert states == ["Rated", "Duplicate", "RatingException"]


def test_an_object_is_mended_by_an_object_whose_numbers_keep_their_digits(guide: Mill):
    guide.apply(JSON_FEED)
    row = {"DateTime": "2022-05-01", "UdrUsageIdentifier": "648-688-4180", "Value": "x", "UsageClassName": "data_class"}
    answer = guide.request("POST", "/DataImport/Usage/Json/objects", json=row)
    assert answer.status_code == 200
    guide.work()
    path = "/DataImport/History/Exception/1/Resubmit"
    assert guide.request("POST", path, json={"data": "text"}).status_code == 400
    edited = '{"DateTime":"2022-05-01","UdrUsageIdentifier":"648-688-4180","Value":1.10,"UsageClassName":"data_class"}'
    content = f'{{"data": {edited}}}'
    assert guide.request("POST", path, content=content).status_code == 200
    guide.work()
    guide.assert_ties()
    assert '"Value":1.10' in guide.value("select raw from resubmissions")
    assert guide.value("select quantity from charges") == Decimal("1.1")


BAD_BODIES = [
    "",
    "{",
    "[]",
    "{}",
    '{"data":null}',
    '{"data":1}',
    '{"data":{}}',
    '{"data":["x"]}',
    '{"data":"x","more":1}',
    '{"data":"a\\u0000b"}',
    '{"data":"a\\ud800b"}',
    '{"data":NaN}',
    '{"data":' + "[" * 100_000,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: body[:20])
def test_a_body_without_one_row_changes_nothing(guide: Mill, body: str):
    sent(guide, BAD)
    answer = guide.request("POST", "/DataImport/History/Exception/1/Resubmit", content=body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "update"
    assert guide.value("select count(*) from resubmissions") == 0
    assert guide.value("select state from import_exceptions") == 1


def test_only_a_new_exception_may_be_resubmitted_or_written_off(guide: Mill):
    sent(guide, BAD, guide_row(2, value="x"))
    assert resubmit(guide, 1, guide_row(1)).status_code == 200
    assert resubmit(guide, 1, guide_row(1)).status_code == 409
    assert guide.request("POST", "/DataImport/History/Exception/1/WriteOff").status_code == 409
    assert guide.request("POST", "/DataImport/History/Exception/2/WriteOff").status_code == 200
    assert resubmit(guide, 2, guide_row(2)).status_code == 409
    guide.work()
    guide.assert_ties()


def test_eight_who_resubmit_one_row_at_once_send_it_once(guide: Mill):
    sent(guide, BAD)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: resubmit(guide, 1, guide_row(number)).status_code, range(8)))
    assert sorted(answers) == [200] + [409] * 7
    guide.work()
    guide.assert_ties()
    assert guide.value("select count(*) from charges") == 1


def test_another_owners_exception_is_404_and_a_missing_right_403(guide: Mill):
    other = Mill(guide.database, guide.settings, "other", guide.client)
    sent(guide, BAD, guide_row(3, identifier="nobody"))
    for path in ("/DataImport/History/Exception/1/Resubmit", "/DataImport/History/Exception/1/WriteOff"):
        assert other.request("POST", path, json={"data": "x"} if "Resub" in path else None).status_code == 404
        assert guide.request("POST", path.replace("/1/", "/99/"), json={"data": "x"}).status_code in {400, 404}
    assert other.request("POST", "/Udr/Usage/Exception/1/WriteOff").status_code == 404
    for role, status in (("read", 403), ("import", 403), ("setup", 403), ("correct", 200)):
        secret = create_token(guide.database, owner_name="default", role=role, name=role)
        headers = {"Authorization": f"Bearer {secret}"}
        path = "/DataImport/History/Exception/1/Resubmit"
        assert guide.request("POST", path, json={"data": guide_row(1)}, headers=headers).status_code == status
        answer = guide.request("POST", "/Udr/Usage/Exception/1/WriteOff", headers=headers)
        assert answer.status_code == status
    guide.work()
    guide.assert_ties()


def test_a_mended_row_that_makes_a_stage_fail_becomes_an_exception_again(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    def failing(table: Any, *arguments: Any) -> Any:
        if table["uniqueness_identifier"].str.contains("guilty").any():
            raise ValueError("too much")
        return rate(table, *arguments)

    monkeypatch.setattr(conductor, "rate", failing)
    key = sent(guide, BAD, guide_row(2), guide_row(3, value="x"))
    resubmit(guide, 1, guide_row(1, unique="guilty"))
    resubmit(guide, 2, guide_row(3))
    guide.work()
    guide.assert_ties()
    assert [record(guide, key, row)["recordStateName"] for row in (1, 2, 3)] == ["RatingException", "Rated", "Rated"]


class TestWriteOff:
    """What is given up stays readable, and both laws hold."""

    def test_an_import_exception_stays_one(self, guide: Mill):
        key = sent(guide, BAD)
        answer = guide.request("POST", "/DataImport/History/Exception/1/WriteOff", json={"note": "a test call"})
        item = answer.json()["results"]["items"][0]
        assert (answer.json()["type"], item["action"]) == ("update", "updated")
        assert (item["dataImportExceptionStatusTypeName"], item["note"]) == ("WrittenOff", "a test call")
        assert item["writtenOffByUserName"] == "tester"
        assert counts(guide, key) == (1, 0, 1, 0, 0)
        assert record(guide, key, 1)["recordStateName"] == "ImportException"
        guide.assert_ties()

    def test_a_rating_exception_counts_as_written_off_and_stays_readable(self, guide: Mill):
        key = sent(guide, guide_row(0, identifier="nobody"), guide_row(1))
        answer = guide.request("POST", "/Udr/Usage/Exception/1/WriteOff", content=b"")
        assert answer.status_code == 200
        shown = history(guide, key)
        assert (shown["importCount"], shown["ratedCount"], shown["ratingExceptionCount"]) == (2, 1, 0)
        assert shown["ratingWrittenOffCount"] == 1
        assert guide.request("GET", "/Udr/Usage/Exception/Paged").json()["pagedResults"]["totalCount"] == 0
        done = guide.request("GET", "/Udr/Usage/Exception/Paged?complete=true").json()["pagedResults"]["items"]
        assert [(each["id"], each["udrUsageExceptionStatusTypeName"]) for each in done] == [(1, "WrittenOff")]
        assert record(guide, key, 1)["recordStateName"] == "WrittenOff"
        assert guide.request("POST", "/Udr/Usage/Exception/1/WriteOff").status_code == 409
        guide.assert_ties()

    @pytest.mark.parametrize(
        "body", ["[]", '"x"', '{"note":1}', '{"other":"x"}', "{", '{"note":"' + "x" * 1_001 + '"}']
    )
    def test_a_note_is_a_text(self, guide: Mill, body: str):
        sent(guide, BAD)
        assert guide.request("POST", "/DataImport/History/Exception/1/WriteOff", content=body).status_code == 400
        assert guide.value("select state from import_exceptions") == 1
