"""Reading back over HTTP: the printed shapes key by key, filters, pages, rights, and nothing of another owner."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.seeded import new_id
from tests.fixtures.two_mills import EVERY_END, STATES, get, instance, items, post, two_mills

from ratemill.access.tokens import create_token
from ratemill.settings import Settings
from ratemill.store.connections import Database

HISTORY, RECORDS = "/DataImport/History", "/DataImport/History/{}/Record/Paged"
IMPORT_EXCEPTIONS, BATCH = "/DataImport/History/Exception", "/DataImport/Batch"
RATING_EXCEPTIONS, KINDS, CHARGES = "/Udr/Usage/Exception/Paged", "/Udr/Usage/ExceptionType/", "/Udr/Charge"
# What differs from run to run: identities, times, tracking ids.
VOLATILE = {"identity", "id", "udrMediatedId", "dataImportHistoryId", "dataImportExceptionId", "importBatchId"}
VOLATILE |= {"importBatchIds", "requestTrackingId", "dataImportTrackingId", "trackingId", "usageRateId", "udrFeedId"}
VOLATILE |= {"dataProfileId", "ownerId", "dataProfileVersion"}
VOLATILE |= {"created", "importStart", "importEnd", "exceptionDate", "lastRatingAttempt", "rated"}


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as made:
        yield made


@pytest.fixture(scope="module")
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


@pytest.fixture(scope="module")
def others(mills: tuple[Mill, Mill]) -> Mill:
    return mills[1]


@pytest.fixture(scope="module")
def request_id(mine: Mill, others: Mill) -> str:
    """The tracking id of one request with a row of every end; the other owner sends the same rows."""
    post(others, *EVERY_END)
    return post(mine, *EVERY_END)


def assert_as_printed(printed: dict[str, Any], actual: dict[str, Any], *, but: Collection[str] = ()) -> None:
    """Hold that every printed member is there, of the printed kind, and equal unless it differs from run to run."""
    assert set(printed) <= set(actual), set(printed) - set(actual)
    for name, value in printed.items():
        if isinstance(value, dict):
            assert_as_printed(value, actual[name], but=but)
        elif name in VOLATILE or name in but:
            assert type(actual[name]) is type(value), name
        else:
            assert actual[name] == value, name


@pytest.fixture(scope="module")
def printed(cases: Path) -> Path:
    return cases / "reading_back"


@pytest.fixture(scope="module")
def printed_id(mine: Mill, others: Mill, printed: Path) -> str:
    """The tracking id of the request that the golden case is of."""
    rows = json.loads((printed / "rows.json").read_text())["data"]
    post(others, *rows)
    return post(mine, *rows)


def test_a_history_is_as_printed(mine: Mill, printed: Path, printed_id: str):
    answer = get(mine, f"{HISTORY}/{printed_id}").json()
    counts = {name for name in answer["instance"] if name.endswith("Count")}
    expected = json.loads((printed / "history.json").read_text())
    assert_as_printed(expected, answer, but=counts)
    assert answer["instance"]["requestTrackingId"] == printed_id
    assert list(answer["instance"]) == list(expected["instance"])


def test_an_import_exception_is_as_printed(mine: Mill, printed: Path, printed_id: str):
    found = items(mine, f"{IMPORT_EXCEPTIONS}/Paged", trackingId=printed_id)
    assert len(found) == 1
    assert_as_printed(json.loads((printed / "import_exception.json").read_text()), found[0])
    assert instance(mine, f"{IMPORT_EXCEPTIONS}/{found[0]['dataImportExceptionId']}") == found[0]


def test_a_rating_exception_is_as_printed(mine: Mill, printed: Path, printed_id: str):
    found = items(mine, RATING_EXCEPTIONS, trackingId=printed_id)
    assert len(found) == 1
    assert_as_printed(json.loads((printed / "rating_exception.json").read_text()), found[0])


def test_a_charge_is_as_printed(mine: Mill, printed: Path, printed_id: str):
    found = items(mine, f"{CHARGES}/Paged", trackingId=printed_id)
    assert len(found) == 1
    assert_as_printed(json.loads((printed / "charge.json").read_text()), found[0])
    assert instance(mine, f"{CHARGES}/{found[0]['identity']}") == found[0]


def test_a_history_is_found_by_identity_and_by_either_tracking_id(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    for key in (history["identity"], history["dataImportTrackingId"], history["requestTrackingId"].upper()):
        assert instance(mine, f"{HISTORY}/{key}") == history


@pytest.mark.parametrize(
    "key", ["0", "999999999", "9" * 40, "nothing", "3b640170-e08b-45a9-a339-148fa54d370a", "%00", "1.5", "-1"]
)
def test_a_history_that_is_not_there_is_404_in_the_envelope(mine: Mill, key: str):
    answer = get(mine, f"{HISTORY}/{key}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "get"
    assert get(mine, RECORDS.format(key)).status_code == 404


def test_every_end_is_counted_once(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    counts = {name: value for name, value in history.items() if name.endswith("Count")}
    assert counts == {
        "recordCount": 7,
        "importCount": 3,
        "importExceptionCount": 2,
        "importSkipRecordCount": 1,
        "importDuplicateCount": 1,
        "importWaitingCount": 0,
        "ratedCount": 2,
        "ratingExceptionCount": 1,
        "ratingWaitingCount": 0,
        "ratingWrittenOffCount": 0,
    }
    batch = instance(mine, f"{BATCH}/{history['importBatchIds'][0]}")
    assert {name: batch[name] for name in counts} == counts
    assert batch["udrFeedName"] == "Guide Feed"


def test_a_request_is_accepted_then_done(mine: Mill):
    sent_id = mine.post_rows(guide_row(77)).json()["trackingId"]
    before = instance(mine, f"{HISTORY}/{sent_id}")
    mine.work()
    after = instance(mine, f"{HISTORY}/{sent_id}?wait=10")
    assert (before["dataImportHistoryStatusTypeName"], before["importWaitingCount"]) == ("Accepted", 1)
    assert (before["importStart"], before["importEnd"], before["importBatchIds"]) == (None, None, [])
    assert (after["dataImportHistoryStatusTypeName"], after["importWaitingCount"]) == ("Done", 0)
    mine.change("update submissions set rows_waiting = 1 where request_tracking_id = %s", sent_id)
    again = instance(mine, f"{HISTORY}/{sent_id}")
    mine.change("update submissions set rows_waiting = 0 where request_tracking_id = %s", sent_id)
    assert (again["dataImportHistoryStatusTypeName"], again["importEnd"]) == ("Processing", None)


def test_waiting_ends_when_the_time_is_up(mine: Mill):
    sent_id = mine.post_rows(guide_row(78)).json()["trackingId"]
    assert instance(mine, f"{HISTORY}/{sent_id}?wait=1")["importWaitingCount"] == 1
    mine.work()


@pytest.mark.parametrize("wait", ["-1", "soon", "61", ""])
def test_a_wait_is_whole_seconds_up_to_its_limit(mine: Mill, request_id: str, wait: str):
    assert get(mine, f"{HISTORY}/{request_id}?wait={wait}").status_code == 400


def test_histories_come_newest_first_and_by_their_filters(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    shown = items(mine, f"{HISTORY}/Paged", pageSize=1000)
    assert [each["identity"] for each in shown] == sorted((each["identity"] for each in shown), reverse=True)
    assert history in shown
    batch_id, created = history["importBatchIds"][0], history["created"]
    for found in (
        {"udrFeedName": "guide FEED"},
        {"importBatchId": batch_id},
        {"dataImportHistoryStatusTypeName": "done"},
        {"from": created},
        {"udrFeedName": "Guide Feed", "importBatchId": batch_id, "from": "2020-01-01", "to": "2999-01-01T00:00:00Z"},
    ):
        assert history in items(mine, f"{HISTORY}/Paged", pageSize=1000, **found), found
    for lost in (
        {"udrFeedName": "no feed"},
        {"importBatchId": 0},
        {"importBatchId": "9" * 40},
        {"dataImportHistoryStatusTypeName": "Accepted"},
        {"dataImportHistoryStatusTypeName": "Processing"},
        {"dataImportHistoryStatusTypeName": "nix"},
        {"to": "2020-01-01"},
        {"from": "2999-01-01"},
    ):
        assert history not in items(mine, f"{HISTORY}/Paged", pageSize=1000, **lost), lost


def test_each_records_whole_life_by_row(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    lives = items(mine, RECORDS.format(request_id))
    assert [life["originatingFileRecordIndex"] for life in lives] == [1, 2, 3, 4, 5, 6, 7]
    assert [life["dataSnippet"] for life in lives] == list(EVERY_END)
    assert [life["recordStateName"] for life in lives] == STATES
    assert {life["importBatchId"] for life in lives} == set(history["importBatchIds"])
    assert {life["dataProfileVersion"] for life in lives} == {history["dataProfileVersion"]}
    rated, refused, duplicate, excepted, short, skipped, second = lives
    assert duplicate["duplicateOf"] == {
        "dataImportHistoryId": history["identity"],
        "requestTrackingId": request_id,
        "originatingFileRecordIndex": 1,
        "importBatchId": history["importBatchIds"][0],
    }
    assert [life["udrMediated"] is not None for life in lives] == [True, False, False, True, False, False, True]
    assert [life["dataImportException"] is not None for life in lives] == [
        False,
        True,
        False,
        False,
        True,
        False,
        False,
    ]
    assert [life["udrUsageException"] is not None for life in lives] == [False] * 3 + [True] + [False] * 3
    assert [len(life["charges"]) for life in lives] == [1, 0, 0, 0, 0, 0, 1]
    assert second["udrMediated"]["value"] == second["charges"][0]["quantity"] == "10.5"
    assert second["charges"][0]["amount"] == "0.12915"
    assert rated["attempts"] == [{"at": rated["charges"][0]["rated"], "outcome": "Rated", "reasonName": None}]
    assert [(each["outcome"], each["reasonName"]) for each in excepted["attempts"]] == [
        ("RatingException", "identifier_not_found")
    ]
    assert refused["attempts"] == skipped["attempts"] == []
    assert short["dataImportException"]["message"] == "Row 5: the row has 2 fields, the profile has more."


def test_a_message_names_row_field_and_value_and_the_details_every_fault(mine: Mill, request_id: str):
    refused = items(mine, f"{IMPORT_EXCEPTIONS}/Paged", trackingId=request_id)[0]
    assert refused["message"] == "Row 2, field DateTime: 'soon' is not a date."
    assert refused["messageDetails"].splitlines() == [
        "Row 2, field DateTime: 'soon' is not a date.",
        "Row 2, field Value: 'ninety' is not a number.",
    ]


def test_import_exceptions_by_their_filters(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    path, batch_id = f"{IMPORT_EXCEPTIONS}/Paged", history["importBatchIds"][0]
    both = items(mine, path, trackingId=history["dataImportTrackingId"])
    assert [found["originatingFileRecordIndex"] for found in both] == [2, 5]
    assert items(mine, path, importBatchId=batch_id, udrFeedName="guide feed") == both
    assert items(mine, path, trackingId=request_id, dataImportExceptionStatusTypeName="New") == both
    assert items(mine, path, trackingId=request_id, dataImportExceptionStatusTypeName="WrittenOff") == []
    dates = items(mine, path, trackingId=request_id, dataImportExceptionErrorTypeName="value_must_be_a_date")
    assert dates == both[:1]
    assert items(mine, path, trackingId=request_id, dataImportExceptionErrorTypeName="Unknown Error") == []
    assert items(mine, path, trackingId=str(new_id())) == items(mine, path, udrFeedName="no") == []


def test_rating_exceptions_by_their_filters(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    path, batch_id = RATING_EXCEPTIONS, history["importBatchIds"][0]
    one = items(mine, path, trackingId=request_id)
    assert [found["originatingFileRecordIndex"] for found in one] == [4]
    assert items(mine, path, importBatchId=batch_id) == one
    kind = "No UDR Usage Identifier match"
    assert items(mine, path, trackingId=request_id, udrFeedName="Guide Feed", udrUsageExceptionTypeName=kind) == one
    assert items(mine, path, trackingId=request_id, udrUsageIdentifier="nobody-1", complete="false") == one
    assert items(mine, path, trackingId=request_id, udrUsageIdentifier="nobody") == []
    assert items(mine, path, trackingId=request_id, accountName="Acme") == []
    assert items(mine, path, trackingId=request_id, complete="true") == []
    assert items(mine, path, trackingId=request_id, udrUsageExceptionTypeName="Software System Error") == []


def test_the_kinds_stand_in_their_order_with_the_count_of_open_ones(mine: Mill, others: Mill, request_id: str):
    before = [found["count"] for found in get(mine, KINDS).json()["items"]]
    post(others, guide_row(900, identifier="nobody-2"))
    answer = get(mine, KINDS).json()
    assert list(answer) == ["trackingId", "totalCount", "items"]
    assert [found["identity"] for found in answer["items"]] == [1, 2, 3, 4, 5, 6, 7]
    assert answer["items"][0]["name"] == "No UDR Usage Identifier match"
    assert [found["count"] for found in answer["items"]] == before
    assert before[0] == len(items(mine, RATING_EXCEPTIONS, pageSize=1000))


def test_the_kinds_come_in_pages_too(mine: Mill, request_id: str):
    kinds = get(mine, KINDS).json()["items"]
    assert items(mine, f"{KINDS}Paged") == kinds
    page = get(mine, f"{KINDS}Paged", params={"pageNumber": 2, "pageSize": 3}).json()
    assert page["pagination"] == {"pageNumber": 2, "pageSize": 3, "excludeTotalCount": False}
    assert page["pagedResults"] == {"totalCount": 7, "items": kinds[3:6]}
    by_header = {"Pagination": '{"pageNumber": 3, "pageSize": 3, "excludeTotalCount": true}'}
    assert get(mine, f"{KINDS}Paged", headers=by_header).json()["pagedResults"] == {"items": kinds[6:]}


def test_charges_by_their_filters(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    path = f"{CHARGES}/Paged"
    both = items(mine, path, trackingId=request_id)
    assert [found["originatingFileRecordIndex"] for found in both] == [1, 7]
    assert items(mine, path, importBatchId=history["importBatchIds"][0]) == both
    assert items(mine, path, trackingId=request_id, importBatchId=0) == []
    day = {"from": "2022-05-01", "to": "2022-05-02"}
    for found in (
        {"udrFeedName": "guide feed"},
        {"udrUsageIdentifier": "648-688-4180"},
        {"accountName": "Acme"},
        {"accountServiceName": "Line"},
        {"usageClassName": "data_class"},
        day,
        {"accountName": "Acme", "accountServiceName": "Line", "udrUsageIdentifier": "648-688-4180", **day},
        {},
    ):
        assert items(mine, path, trackingId=request_id, **found) == both, found
        everywhere = items(mine, path, pageSize=1000, **found)
        assert [each for each in everywhere if each in both] == both, found
    for lost in (
        {"udrFeedName": "no"},
        {"udrUsageIdentifier": "no"},
        {"accountName": "no"},
        {"accountServiceName": "no"},
        {"usageClassName": "no"},
        {"from": "2022-05-02"},
        {"to": "2022-05-01"},
    ):
        assert items(mine, path, trackingId=request_id, **lost) == [], lost
        assert [each for each in items(mine, path, pageSize=1000, **lost) if each in both] == [], lost


def test_every_call_shows_the_owners_own_and_nothing_else(mine: Mill, others: Mill, request_id: str):
    theirs = items(others, f"{HISTORY}/Paged", pageSize=1000)
    their_ids = {history["identity"] for history in theirs}
    assert their_ids
    for path in (f"{IMPORT_EXCEPTIONS}/Paged", RATING_EXCEPTIONS, f"{CHARGES}/Paged"):
        shown = items(mine, path, pageSize=1000)
        assert shown
        assert not {row["dataImportHistoryId"] for row in shown} & their_ids
        for row in items(others, path, pageSize=1000):
            assert row["dataImportHistoryId"] in their_ids
            assert items(mine, path, trackingId=row["requestTrackingId"]) == []
            assert items(mine, path, importBatchId=row["importBatchId"]) == []
    assert not {row["identity"] for row in items(mine, f"{HISTORY}/Paged", pageSize=1000)} & their_ids
    exception = items(others, f"{IMPORT_EXCEPTIONS}/Paged")[0]["dataImportExceptionId"]
    for path in (
        f"{HISTORY}/{theirs[0]['identity']}",
        f"{HISTORY}/{theirs[0]['requestTrackingId']}",
        RECORDS.format(theirs[0]["identity"]),
        f"{BATCH}/{theirs[0]['importBatchIds'][0]}",
        f"{IMPORT_EXCEPTIONS}/{exception}",
        f"{CHARGES}/{items(others, f'{CHARGES}/Paged')[0]['identity']}",
    ):
        assert get(others, path).status_code == 200, path
        assert get(mine, path).status_code == 404, path


@pytest.mark.parametrize("path", [f"{BATCH}/", f"{IMPORT_EXCEPTIONS}/", f"{CHARGES}/"])
@pytest.mark.parametrize("number", ["0", "999999999", "9" * 19, "9" * 25, "9" * 4000, "x", "-1"])
def test_a_number_that_nothing_has_is_404(mine: Mill, path: str, number: str):
    assert get(mine, f"{path}{number}").status_code == 404


def test_a_feed_is_found_by_number_api_name_or_name(mine: Mill, others: Mill):
    feed = instance(mine, "/DataImport/Usage/Feed/guideFeed")
    names = ["identity", "name", "apiName", "enabled", "dataProfileId", "dataProfileName", "dataProfileVersion"]
    assert list(feed)[: len(names)] == names
    assert (feed["name"], feed["apiName"], feed["enabled"], feed["dataProfileName"]) == (
        "Guide Feed",
        "guideFeed",
        True,
        "guide_csv",
    )
    for key in (feed["identity"], "GUIDEFEED", "guide%20feed"):
        assert instance(mine, f"/DataImport/Usage/Feed/{key}") == feed
    theirs = instance(others, "/DataImport/Usage/Feed/guideFeed")
    assert theirs["identity"] != feed["identity"]
    assert get(mine, f"/DataImport/Usage/Feed/{theirs['identity']}").status_code == 404
    assert get(mine, "/DataImport/Usage/Feed/nix").status_code == 404


PAGED = [f"{HISTORY}/Paged", f"{IMPORT_EXCEPTIONS}/Paged", RATING_EXCEPTIONS, f"{KINDS}Paged", f"{CHARGES}/Paged"]


@pytest.mark.parametrize("path", [*PAGED, RECORDS])
def test_pages_cover_the_list_once_in_its_order(mine: Mill, request_id: str, path: str):
    path = path.format(request_id)
    answer = get(mine, f"{path}?pageSize=10000").json()
    everything, total = answer["pagedResults"]["items"], answer["pagedResults"]["totalCount"]
    assert total == len(everything)
    pages = [items(mine, path, pageNumber=number, pageSize=2) for number in range(1, total // 2 + 3)]
    assert [row for page in pages for row in page] == everything
    assert pages[-1] == []
    bare = get(mine, f"{path}?excludeTotalCount=true&pageSize=10000").json()
    assert bare["pagination"] == {"pageNumber": 1, "pageSize": 10000, "excludeTotalCount": True}
    assert bare["pagedResults"] == {"items": everything}


@pytest.mark.parametrize("path", PAGED)
@pytest.mark.parametrize(
    "query",
    [
        "pageSize=0",
        "pageSize=10001",
        "pageNumber=0",
        "pageSize=x",
        "excludeTotalCount=1",
        "bogus=1",
        "PageSize=1",
        "pageSize=1&pageSize=2",
        "importBatchId=x",
        "importBatchId=-1",
    ],
)
def test_a_parameter_that_is_wrong_or_unknown_is_400(mine: Mill, path: str, query: str):
    answer = get(mine, f"{path}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"]


@pytest.mark.parametrize("path", [f"{HISTORY}/1", f"{BATCH}/1", f"{CHARGES}/1", KINDS, f"{IMPORT_EXCEPTIONS}/1"])
def test_a_call_of_one_object_takes_no_other_parameter(mine: Mill, path: str):
    assert get(mine, f"{path}?pageSize=1").status_code == 400


def test_every_fault_of_a_query_is_said_at_once(mine: Mill):
    answer = get(mine, f"{CHARGES}/Paged?bogus=1&pageSize=0&from=soon&trackingId=x")
    assert [error["field"] for error in answer.json()["errors"]] == ["bogus", "from", "trackingId", "pageSize"]


def test_the_query_wins_over_the_pagination_header(mine: Mill, request_id: str):
    headers = {"Pagination": json.dumps({"pageNumber": 2, "pageSize": 3, "excludeTotalCount": True})}
    path = RECORDS.format(request_id)
    by_header = get(mine, path, headers=headers).json()
    by_both = get(mine, path, headers=headers, params={"pageNumber": 1, "excludeTotalCount": "false"}).json()
    assert by_header["pagination"] == {"pageNumber": 2, "pageSize": 3, "excludeTotalCount": True}
    assert [life["originatingFileRecordIndex"] for life in by_header["pagedResults"]["items"]] == [4, 5, 6]
    assert by_both["pagination"] == {"pageNumber": 1, "pageSize": 3, "excludeTotalCount": False}
    assert get(mine, path, headers={"Pagination": "pageNumber=2"}).status_code == 400
    assert get(mine, path, headers={"Pagination": '{"pageSize": 1.5}'}).status_code == 400
    assert get(mine, path, headers={"Pagination": '{"pageSize": "\\ud800"}'}).status_code == 400


def test_what_a_role_may_not_read_is_403(mine: Mill, database: Database, request_id: str):
    reader = create_token(database, owner_name="default", role="read", name="reader")
    importer = create_token(database, owner_name="default", role="import", name="importer")
    paths = [*PAGED, KINDS, f"{HISTORY}/{request_id}", RECORDS.format(request_id)]
    for path in paths:
        assert get(mine, path, headers={"Authorization": f"Bearer {reader}"}).status_code == 200, path
        assert get(mine, path, headers={"Authorization": "Bearer wrong"}).status_code == 401, path
    for path in (f"{CHARGES}/Paged", f"{IMPORT_EXCEPTIONS}/Paged", RATING_EXCEPTIONS, KINDS):
        assert get(mine, path, headers={"Authorization": f"Bearer {importer}"}).status_code == 403, path


def test_letter_case_slash_and_version_make_no_difference(mine: Mill, request_id: str):
    history = instance(mine, f"{HISTORY}/{request_id}")
    for path in (
        f"/ResourceServer/api/v6/DataImport/History/{request_id}",
        f"/resourceserver/API/V8/dataimport/HISTORY/{request_id}/",
    ):
        answer = mine.client.get(path, headers={"Authorization": f"Bearer {mine.token}"})
        assert answer.json()["instance"] == history


def test_text_beyond_what_the_store_can_hold_is_asked_for_without_harm(mine: Mill, request_id: str):
    for path, name in ((f"{CHARGES}/Paged", "accountName"), (f"{HISTORY}/Paged", "udrFeedName")):
        assert items(mine, path, **{name: "\0"}) == []
    sent_id = post(mine, guide_row(500, originating="\x00"))
    life = items(mine, RECORDS.format(sent_id))[0]
    assert life["dataSnippet"] == guide_row(500, originating="\ufffd")
    assert life["dataImportException"]["dataImportExceptionErrorTypeName"] == "row_must_not_contain_nul"


@pytest.mark.parametrize("number", ["0", "1000000000001", "9" * 31, "-1", "1.0"])
@pytest.mark.parametrize("path", ["/Udr/Charge/Paged", "/Account/Paged"])
def test_a_page_number_that_cannot_be_counted_is_400_and_one_past_the_end_is_empty(mine: Mill, path: str, number: str):
    for options in ({"params": {"pageNumber": number}}, {"headers": {"Pagination": f'{{"pageNumber": {number}}}'}}):
        answer = mine.request("GET", path, **options)
        assert answer.status_code == 400, answer.text
        (fault,) = answer.json()["errors"]
        assert fault["field"] == "pageNumber"
        assert fault["message"] == f"pageNumber must be a whole number from 1 to 1000000000000, not '{number}'"
    last = mine.request("GET", path, params={"pageNumber": 10**12, "pageSize": 10_000}).json()
    assert last["pagination"]["pageNumber"] == 10**12
    assert last["pagedResults"]["items"] == []
