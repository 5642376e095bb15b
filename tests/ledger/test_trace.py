"""A record has exactly one end: what was sent in again, reprocessed or written off shows so, and no longer as before."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.seeded import number_of
from tests.fixtures.two_mills import instance, items, post, two_mills

from ratemill.settings import Settings
from ratemill.store.connections import Database

REFUSED, EXCEPTED = guide_row(1, value="ninety"), guide_row(2, identifier="nobody-1")


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as made:
        yield made


@pytest.fixture
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


@pytest.fixture
def sent(mills: tuple[Mill, Mill], number: int) -> int:
    """A request of three rows, refused, excepted and rated; the other owner sends the same."""
    mine, others = mills
    rows = (REFUSED, EXCEPTED.replace("u2", f"u2-{number}"), guide_row(3, unique=f"u3-{number}"))
    post(others, *rows)
    return int(instance(mine, f"/DataImport/History/{post(mine, *rows)}")["identity"])


@pytest.fixture
def number(request: pytest.FixtureRequest) -> int:
    """A number that makes the rows of each test unlike those of the others."""
    return number_of(request.node.name, 10**9)


def lives(mine: Mill, submission_id: int) -> list[dict[str, Any]]:
    return items(mine, f"/DataImport/History/{submission_id}/Record/Paged")


def add_charge(mine: Mill, submission_id: int, **members: str) -> None:
    """Add a charge like that of row 3, with some columns replaced by expressions."""
    of_charges = "select column_name from information_schema.columns where table_name = 'charges'"
    names = [name for (name,) in mine.rows(of_charges)]
    values = [members.get(name, name) for name in names]
    mine.change(
        f"insert into charges ({', '.join(names)}) select {', '.join(values)} from charges"
        " where submission_id = %s and row_index = 3 and entry = 0",
        submission_id,
    )


def resubmit(mine: Mill, submission_id: int, text: str) -> None:
    """Send row 1 in again, as the resubmission does."""
    mine.change("update import_exceptions set state = 2 where submission_id = %s", submission_id)
    mine.change(
        "insert into resubmissions (submission_id, row_index, revision, owner_id, is_object, raw, created_by)"
        " select submission_id, 1, 2, owner_id, false, %s, 'mender' from submissions where submission_id = %s",
        text,
        submission_id,
    )
    mine.change(
        "update batch_spans set rows_received = rows_received - 1, rows_refused = rows_refused - 1"
        " where submission_id = %s",
        submission_id,
    )
    mine.change("update submissions set rows_waiting = 1, ended_at = null where submission_id = %s", submission_id)


def test_a_resubmitted_row_waits_in_no_batch_and_keeps_its_exception_as_history(mine: Mill, sent: int, number: int):
    mended = guide_row(1, unique=f"u1-{number}")
    resubmit(mine, sent, mended)
    life = lives(mine, sent)[0]
    assert (life["recordStateName"], life["importBatchId"]) == ("Waiting", None)
    assert life["dataSnippet"] == REFUSED
    assert life["dataImportException"]["dataImportExceptionStatusTypeName"] == "Resubmitted"
    assert [(each["revisionNumber"], each["dataSnippet"]) for each in life["revisions"]] == [(2, mended)]
    assert life["revisions"][0]["createdByUserName"] == "mender"
    history = instance(mine, f"/DataImport/History/{sent}")
    assert (history["dataImportHistoryStatusTypeName"], history["importWaitingCount"]) == ("Processing", 1)
    assert history["recordCount"] == history["importCount"] + history["importWaitingCount"] == 3
    mine.work()
    done = lives(mine, sent)[0]
    after = instance(mine, f"/DataImport/History/{sent}")
    assert (done["recordStateName"], done["charges"][0]["amount"]) == ("Rated", "1.1562")
    assert (after["dataImportHistoryStatusTypeName"], after["importExceptionCount"], after["ratedCount"]) == (
        "Done",
        0,
        2,
    )
    assert after["importBatchIds"] == sorted({*history["importBatchIds"], done["importBatchId"]})
    mine.assert_ties()


def test_a_written_off_import_exception_stays_an_import_exception(mine: Mill, sent: int):
    mine.change("update import_exceptions set state = 3 where submission_id = %s", sent)
    life = lives(mine, sent)[0]
    assert life["recordStateName"] == "ImportException"
    assert life["dataImportException"]["dataImportExceptionStatusTypeName"] == "WrittenOff"


def test_a_reprocessed_record_is_rated_and_its_exception_is_done(mine: Mill, sent: int):
    (open_one,) = items(mine, "/Udr/Usage/Exception/Paged", importBatchId=lives(mine, sent)[1]["importBatchId"])
    attempts = "insert into rating_attempts (owner_id, rating_exception_id, reason_id) values (1, %s, %s)"
    mine.change(attempts, open_one["id"], 2301)
    mine.change("update rating_exceptions set attempts = 2, reason_id = 2301, kind = 3 where submission_id = %s", sent)
    mine.change(attempts, open_one["id"], None)
    mine.change("update rating_exceptions set attempts = 3, state = 2 where submission_id = %s", sent)
    add_charge(mine, sent, row_index="2")
    life = lives(mine, sent)[1]
    assert (life["recordStateName"], len(life["charges"])) == ("Rated", 1)
    assert [(each["outcome"], each["reasonName"]) for each in life["attempts"]] == [
        ("RatingException", "identifier_not_found"),
        ("RatingException", "rate_plan_not_found"),
        ("Rated", None),
    ]
    exception = life["udrUsageException"]
    assert (exception["complete"], exception["attemptCount"]) == (True, 3)
    asked = {"trackingId": open_one["requestTrackingId"]}
    assert items(mine, "/Udr/Usage/Exception/Paged", **asked) == []
    assert items(mine, "/Udr/Usage/Exception/Paged", complete="true", **asked) == [exception]


def test_a_written_off_rating_exception_says_so(mine: Mill, sent: int):
    mine.change("update rating_exceptions set state = 3 where submission_id = %s", sent)
    mine.change("update batch_spans set rows_excepted = 0, rows_written_off = 1 where submission_id = %s", sent)
    life = lives(mine, sent)[1]
    history = instance(mine, f"/DataImport/History/{sent}")
    assert (life["recordStateName"], life["udrUsageException"]["complete"]) == ("WrittenOff", True)
    assert (history["ratingExceptionCount"], history["ratingWrittenOffCount"]) == (0, 1)
    assert history["importCount"] == history["ratedCount"] + history["ratingWrittenOffCount"]


def test_a_row_whose_raw_body_was_removed_keeps_the_text_of_its_exception(mine: Mill, sent: int):
    mine.change("delete from submission_bodies where submission_id = %s", sent)
    assert [life["dataSnippet"] for life in lives(mine, sent)] == [REFUSED, None, None]


def test_a_duplicate_of_another_request_names_it(mine: Mill, sent: int, number: int):
    row = guide_row(3, unique=f"u3-{number}")
    again = post(mine, row)
    first = instance(mine, f"/DataImport/History/{sent}")
    life = items(mine, f"/DataImport/History/{again}/Record/Paged")[0]
    assert life["recordStateName"] == "Duplicate"
    assert life["duplicateOf"] == {
        "dataImportHistoryId": sent,
        "requestTrackingId": first["requestTrackingId"],
        "originatingFileRecordIndex": 3,
        "importBatchId": first["importBatchIds"][0],
    }


def test_a_json_record_shows_as_it_was_sent(mills: tuple[Mill, Mill]):
    mine = mills[0]
    sent_text = '{"DateTime": "2022-05-01T01:01:00", "Value": 1.10}'
    answer = mine.request(
        "POST",
        "/DataImport/Usage/Json/Multi/guideFeed",
        content=f'{{"data": [ {sent_text} ]}}',
        headers={"Content-Type": "application/json"},
    )
    mine.work()
    assert items(mine, f"/DataImport/History/{answer.json()['trackingId']}/Record/Paged")[0]["dataSnippet"] == sent_text


def test_a_reversal_names_the_entry_that_it_takes_back(mine: Mill, sent: int):
    (first,) = lives(mine, sent)[2]["charges"]
    add_charge(mine, sent, entry="1", amount="-amount")
    add_charge(mine, sent, entry="2")
    charges = lives(mine, sent)[2]["charges"]
    assert [charge["reversesId"] for charge in charges] == [None, first["identity"], None]
    assert [charge["amount"] for charge in charges] == ["1.1562", "-1.1562", "1.1562"]
    assert instance(mine, f"/Udr/Charge/{charges[1]['identity']}") == charges[1]
