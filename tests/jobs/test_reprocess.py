"""Reprocess: open exceptions are rated anew, each once however many orders ask, and the counts tie at every instant."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
from httpx import Response
from tests.fixtures.mill import GUIDE, Mill, guide_row
from tests.fixtures.mills import NewMill
from tests.fixtures.processes import started, wait_until, was_killed

from ratemill.access.tokens import create_token
from ratemill.errors import Unavailable
from ratemill.jobs import reprocess
from ratemill.jobs.runner import Runner
from ratemill.rating.rate import rate

ORDER = "/UsageRatedExceptionSchedule/Reprocess"
MENDED = """
ratemill: 1
accountServices: [{accountName: Acme, name: Late}]
usageIdentifiers: [{udrUsageIdentifier: nobody, accountName: Acme, accountServiceName: Late}]
"""


@pytest.fixture
def guide(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill() as made:
        Mill(made.database, made.settings, "other", made.client).apply(GUIDE)
        yield made


@pytest.fixture
def other(guide: Mill) -> Mill:
    return Mill(guide.database, guide.settings, "other", guide.client)


def sent(guide: Mill, *rows: str) -> str:
    answer = guide.post_rows(*rows)
    assert answer.status_code == 200
    guide.work()
    return str(answer.json()["trackingId"])


def unknown(guide: Mill, rows: int, identifier: str = "nobody") -> None:
    """Let so many records become rating exceptions."""
    for first in range(0, rows, 1_000):
        guide.post_rows(*[guide_row(row, identifier=identifier) for row in range(first, min(first + 1_000, rows))])
    guide.work()


def ordered(guide: Mill, **body: Any) -> int:
    answer = guide.request("POST", ORDER, json=body)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["results"]["items"][0]["identity"])


def run(guide: Mill) -> None:
    """Let a runner work until nothing is due."""
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass


def schedule(guide: Mill, number: int) -> dict[str, Any]:
    answer = guide.request("GET", f"/UsageRatedExceptionSchedule/{number}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()["instance"]
    return found


def counts(guide: Mill, number: int) -> tuple[int, ...]:
    shown = schedule(guide, number)
    assert shown["complete"] is not None
    return tuple(shown[f"{name}Count"] for name in ("matched", "sent", "rated", "failed"))


def reprocessed(guide: Mill, **body: Any) -> tuple[int, ...]:
    number = ordered(guide, **body)
    run(guide)
    guide.assert_ties()
    return counts(guide, number)


def by(name: str, operator: str, value: object = None) -> dict[str, Any]:
    return {"filterCriteria": {"search": [{"name": name, "operator": operator, "value": value}]}}


def exceptions(guide: Mill, **parameters: Any) -> list[dict[str, Any]]:
    answer = guide.request("GET", "/Udr/Usage/Exception/Paged", params=parameters)
    found: list[dict[str, Any]] = answer.json()["pagedResults"]["items"]
    return found


def test_the_reply_is_the_order_as_it_stands(guide: Mill):
    unknown(guide, 2)
    answer = guide.request("POST", ORDER, json={"all": True})
    item = answer.json()["results"]["items"][0]
    assert (answer.json()["type"], answer.json()["results"]["totalCount"]) == ("create", 1)
    assert (item["action"], item["dtoTypeKey"]) == ("created", "usageRatedExceptionSchedule")
    shown = item["instance"]
    assert schedule(guide, item["identity"]) == shown
    assert (shown["identity"], shown["start"], shown["complete"]) == (item["identity"], None, None)
    assert (shown["filterCriteria"], shown["createdByUserName"]) == ({}, "tester")
    assert [shown[f"{name}Count"] for name in ("matched", "sent", "rated", "failed")] == [2, 0, 0, 0]


def test_a_mended_cause_turns_exceptions_into_charges_and_leaves_the_others_open(guide: Mill):
    key = sent(guide, guide_row(0), guide_row(1, identifier="nobody"), guide_row(2, identifier="stranger"))
    guide.apply(MENDED)
    assert reprocessed(guide, all=True) == (2, 2, 1, 1)
    shown = guide.request("GET", f"/DataImport/History/{key}").json()["instance"]
    assert (shown["ratedCount"], shown["ratingExceptionCount"], shown["ratingWaitingCount"]) == (2, 1, 0)
    charge = guide.request("GET", f"/Udr/Charge/Paged?trackingId={key}").json()["pagedResults"]["items"][1]
    assert (charge["amount"], charge["accountServiceName"], charge["originatingFileRecordIndex"]) == (
        "1.1562",
        "Late",
        2,
    )
    assert charge["importBatchId"] == shown["importBatchIds"][0]
    (still,) = exceptions(guide)
    assert (still["udrUsageIdentifier"], still["attemptCount"], still["udrUsageExceptionScheduleId"]) == (
        "stranger",
        2,
        1,
    )
    (done,) = exceptions(guide, complete="true")
    assert (done["id"], done["complete"], done["attemptCount"]) == (1, True, 2)
    life = guide.request("GET", f"/DataImport/History/{key}/Record/Paged").json()["pagedResults"]["items"]
    assert [each["recordStateName"] for each in life] == ["Rated", "Rated", "RatingException"]
    assert [each["outcome"] for each in life[1]["attempts"]] == ["RatingException", "Rated"]
    assert [each["reasonName"] for each in life[2]["attempts"]] == ["identifier_not_found"] * 2


def test_a_failure_for_another_reason_is_told_and_the_first_is_remembered(guide: Mill):
    key = sent(guide, guide_row(1, identifier="nobody"))
    before = exceptions(guide)[0]
    guide.apply(
        "ratemill: 1\naccounts: [{name: Euro, currencyName: EUR, usageRatePlanName: Standard}]\n"
        "accountServices: [{accountName: Euro, name: Line}]\n"
        "usageIdentifiers: [{udrUsageIdentifier: nobody, accountName: Euro, accountServiceName: Line}]"
    )
    assert reprocessed(guide, ids=[1]) == (1, 1, 0, 1)
    after = exceptions(guide)[0]
    assert (after["udrUsageExceptionTypeId"], after["reasonName"]) == (4, "rate_group_not_found_in_currency")
    assert (after["accountName"], after["message"]) == ("Euro", "The rate plan has no group in EUR.")
    assert after["lastRatingAttempt"] > before["lastRatingAttempt"]
    life = guide.request("GET", f"/DataImport/History/{key}/Record/Paged").json()["pagedResults"]["items"][0]
    names = ["identifier_not_found", "rate_group_not_found_in_currency"]
    assert [each["reasonName"] for each in life["attempts"]] == names


def test_the_stored_record_is_rated_as_of_its_usage_date(guide: Mill):
    sent(guide, guide_row(1, identifier="nobody"), guide_row(2, identifier="nobody", date="2023-05-01T00:00:00"))
    guide.apply(
        "ratemill: 1\naccountServices: [{accountName: Acme, name: Late}]\n"
        "usageIdentifiers: [{udrUsageIdentifier: nobody, accountName: Acme, accountServiceName: Late, start: 2023-01-01}]\n"
    )
    assert reprocessed(guide, all=True) == (2, 2, 1, 1)
    assert guide.value("select row_index from charges") == 2
    assert exceptions(guide)[0]["reasonName"] == "identifier_not_valid_on_usage_date"


def test_the_other_owners_exceptions_are_left_alone_and_its_orders_invisible(guide: Mill, other: Mill):
    unknown(guide, 3)
    unknown(other, 3)
    guide.apply(MENDED)
    other.apply(MENDED.replace("Late", "Later"))
    _mine, theirs = guide.rows(
        "select array_agg(rating_exception_id) from rating_exceptions group by owner_id order by 1"
    )
    assert reprocessed(guide, ids=theirs[0]) == (0, 0, 0, 0)
    assert reprocessed(guide, all=True) == (3, 3, 3, 0)
    assert guide.rows("select owner_id, count(*) from charges group by owner_id") == [(1, 3)]
    assert other.request("GET", "/UsageRatedExceptionSchedule/1").status_code == 404
    assert guide.request("GET", "/UsageRatedExceptionSchedule/99").status_code == 404
    assert guide.request("GET", "/UsageRatedExceptionSchedule/x").status_code == 404
    assert reprocessed(other, ids=theirs[0]) == (3, 3, 3, 0)


@pytest.mark.parametrize(
    ("role", "post", "get"), [("read", 403, 200), ("import", 403, 403), ("correct", 200, 200), ("setup", 403, 200)]
)
def test_only_roles_with_the_right_may_reprocess(guide: Mill, role: str, post: int, get: int):
    ordered(guide, all=True)
    secret = create_token(guide.database, owner_name="default", role=role, name=role)
    headers = {"Authorization": f"Bearer {secret}"}
    assert guide.request("POST", ORDER, json={"all": True}, headers=headers).status_code == post
    assert guide.request("GET", "/UsageRatedExceptionSchedule/1", headers=headers).status_code == get


BAD_BODIES = [
    "",
    "[]",
    "{}",
    "null",
    '{"all":false}',
    '{"all":"true"}',
    '{"ids":[]}',
    '{"ids":[1.5]}',
    '{"ids":["x"]}',
    '{"ids":1}',
    '{"filterCriteria":{}}',
    '{"filterCriteria":{"search":[]}}',
    '{"filterCriteria":{"search":{}}}',
    '{"filterCriteria":{"condition":"xor","search":[{"name":"id","operator":"eq","value":1}]}}',
    '{"filterCriteria":{"search":[{"name":"nothing","operator":"eq","value":1}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"is","value":1}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"eq"}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"eq","value":"one"}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"eq","value":[1]}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"in","value":[]}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"contains","value":"1"}]}}',
    '{"filterCriteria":{"search":[{"name":"date","operator":"gt","value":"soon"}]}}',
    '{"filterCriteria":{"search":[{"name":"reverseRating","operator":"gt","value":true}]}}',
    '{"filterCriteria":{"search":[{"name":"requestTrackingId","operator":"eq","value":"x"}]}}',
    '{"filterCriteria":{"search":[{"name":"message","operator":"eq","value":"a\\u0000"}]}}',
    '{"filterCriteria":{"search":[{"operator":"eq","value":"a"}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"eq","value":1}]},"all":true}',
    '{"ids":[1],"all":true}',
    '{"all":true,"scheduledStart":"soon"}',
    '{"all":true,"scheduledStart":5}',
    '{"all":true,"sheduledStart":"2099-01-01"}',
    '{"filterCriteria":{"condition":["or"],"search":[{"name":"id","operator":"eq","value":1}]}}',
    '{"filterCriteria":{"search":[{"name":"\\ud800","operator":"eq","value":1}]}}',
    '{"filterCriteria":{"search":[{"name":"id","operator":"\\ud800","value":1}]}}',
    '{"filterCriteria":{"search":[{"name":"date","operator":"gt","value":"\\ud800"}]}}',
    '{"all":true,"scheduledStart":"\\ud800"}',
    '{"\\ud800":1}',
    '{"ids":' + "[" * 100_000,
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_what_does_not_say_which_is_400_and_orders_nothing(guide: Mill, body: str):
    answer = guide.request("POST", ORDER, content=body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "create"
    assert guide.value("select count(*) from reprocesses") == 0


def test_a_fault_of_a_filter_names_the_member_as_it_was_sent(guide: Mill):
    body = by("date", "gt", "soon")
    body["filterCriteria"]["search"] += by("udrUsageIdentifier", "lessThan", "a")["filterCriteria"]["search"]
    errors = guide.request("POST", ORDER, json=body).json()["errors"]
    assert [(error["row"], error["field"]) for error in errors] == [(1, "date"), (2, "udrUsageIdentifier")]


FOUND = [
    (by("complete", "eq", value=False), {1, 2, 3, 4}),
    (by("complete", "eq", value=True), set()),
    (by("id", "eq", 2), {2}),
    (by("ID", "in", [1, "2"]), {1, 2}),
    (by("id", "notIn", ["1", "2"]), {3, 4}),
    (by("id", "gtEq", "3"), {3, 4}),
    (by("udrUsageIdentifier", "eq", "a-1"), {1}),
    (by("udrUsageIdentifier", "notEq", "a-1"), {2, 3, 4}),
    (by("udrUsageIdentifier", "startsWith", "a-"), {1, 2}),
    (by("udrUsageIdentifier", "endsWith", "-2"), {2}),
    (by("udrUsageIdentifier", "contains", "'; drop table charges; --"), set()),
    (by("udrUsageExceptionTypeName", "eq", "No UDR Usage Identifier match"), {1, 2, 3}),
    (by("udrUsageExceptionTypeId", "eq", 4), {4}),
    (by("reasonName", "contains", "group"), {4}),
    (by("message", "contains", "EUR"), {4}),
    (by("message", "eq", "No service has the identifier 'a-1'."), {1}),
    (by("date", "lt", "2022-05-02"), {1, 2, 4}),
    (by("value", "gt", "94"), {2}),
    (by("value", "eq", 100.50), {2}),
    (by("accountName", "eq", "Euro"), {4}),
    (by("accountName", "isNull"), {1, 2, 3}),
    (by("usageClassName", "eq", "data_class"), {1, 2, 3, 4}),
    (by("udrFeedName", "eq", "Guide Feed"), {1, 2, 3, 4}),
    (by("originatingFileRecordIndex", "ltEq", 1), {1}),
    (by("reverseRating", "eq", False), {1, 2, 3, 4}),
    (by("attemptCount", "gt", 1), set()),
    (by("udrUsageExceptionScheduleId", "isNotNull"), set()),
]


@pytest.fixture(scope="module")
def four(new_mill: NewMill) -> Iterator[Mill]:
    """Yield a mill with four exceptions; nothing is mended, so they stay open whatever is ordered."""
    with new_mill() as made:
        made.apply(
            "ratemill: 1\naccounts: [{name: Euro, currencyName: EUR, usageRatePlanName: Standard}]\n"
            "accountServices: [{accountName: Euro, name: Line}]\n"
            "usageIdentifiers: [{udrUsageIdentifier: euro, accountName: Euro, accountServiceName: Line}]"
        )
        sent(
            made,
            guide_row(1, identifier="a-1"),
            guide_row(2, identifier="a-2", value="100.5"),
            guide_row(3, identifier="b", date="2022-06-01T00:00:00"),
            guide_row(4, identifier="euro"),
        )
        yield made


@pytest.mark.parametrize(("body", "ids"), FOUND, ids=lambda value: str(value)[:90])
def test_a_filter_selects_what_it_says(four: Mill, body: dict[str, Any], ids: set[int]):
    four.change("update rating_exceptions set attempts = 1, reprocess_id = null")
    number = ordered(four, **body)
    run(four)
    assert {
        row for (row,) in four.rows("select rating_exception_id from rating_attempts where reprocess_id = %s", number)
    } == ids
    assert counts(four, number) == (len(ids), len(ids), 0, len(ids))


ABSURD_IDENTIFIERS = [
    "z" * 100,
    "z" * 101,
    "y" * 5_000,
    "\x1b[31m\x9ba\tb\u202e\u200b\u2028c",
    "\U000e0100\U000f0000\U0001f600" + "x" * 98,  # drawn as nothing, for private use, and visible
    "\\x1b",
]


@pytest.mark.parametrize("operator", ["eq", "in"])
def test_a_filter_by_message_finds_what_the_list_shows(guide: Mill, operator: str):
    sent(guide, *[guide_row(row, identifier=absurd) for row, absurd in enumerate(ABSURD_IDENTIFIERS)])
    listed = guide.request("GET", "/Udr/Usage/Exception/Paged").json()["pagedResults"]["items"]
    assert len(listed) == len(ABSURD_IDENTIFIERS)
    for exception in listed:
        message = exception["message"]
        number = ordered(guide, **by("message", operator, [message] if operator == "in" else message))
        assert schedule(guide, number)["matchedCount"] == 1, message


def test_comparisons_are_joined_by_and_or_by_or(four: Mill):
    search = [
        {"name": "udrUsageIdentifier", "operator": "startsWith", "value": "a-"},
        {"name": "value", "operator": "eq", "value": "94"},
    ]
    number = ordered(four, filterCriteria={"search": search})
    assert schedule(four, number)["matchedCount"] == 1
    assert schedule(four, number)["filterCriteria"] == {"condition": "and", "search": search}
    either = ordered(four, filterCriteria={"condition": "or", "search": search})
    assert schedule(four, either)["matchedCount"] == 4


def test_an_order_for_later_is_not_begun_before_and_finds_what_is_open_then(guide: Mill):
    unknown(guide, 2)
    later = guide.value("select clock_timestamp()") + timedelta(hours=1)
    number = ordered(guide, all=True, scheduledStart=later.isoformat())
    guide.apply(MENDED)
    run(guide)
    assert schedule(guide, number)["start"] is None
    assert (schedule(guide, number)["matchedCount"], schedule(guide, number)["sentCount"]) == (2, 0)
    sent(guide, guide_row(9, identifier="stranger"))
    guide.change("update reprocesses set scheduled_at = clock_timestamp()")
    run(guide)
    assert counts(guide, number) == (3, 3, 2, 1)
    guide.assert_ties()


def test_an_order_for_the_past_begins_at_once(guide: Mill):
    unknown(guide, 1)
    assert reprocessed(guide, all=True, scheduledStart="2001-01-01T00:00:00Z") == (1, 1, 0, 1)


def test_what_is_rated_or_written_off_by_now_is_not_sent(guide: Mill):
    unknown(guide, 3)
    guide.apply(MENDED)
    first, second = ordered(guide, ids=[1]), ordered(guide, all=True)
    assert guide.request("POST", "/Udr/Usage/Exception/2/WriteOff").status_code == 200
    run(guide)
    guide.assert_ties()
    assert counts(guide, first) == (1, 1, 1, 0)
    assert counts(guide, second) == (3, 1, 1, 0)
    assert reprocessed(guide, all=True) == (0, 0, 0, 0)


def test_two_orders_at_once_try_each_failing_record_once(guide: Mill):
    unknown(guide, 5)
    first, second = ordered(guide, all=True), ordered(guide, all=True)
    run(guide)
    assert counts(guide, first)[1] + counts(guide, second)[1] == 5
    assert {attempts for (attempts,) in guide.rows("select attempts from rating_exceptions")} == {2}


def test_a_record_that_is_resubmitted_meanwhile_is_no_hindrance(guide: Mill):
    key = sent(guide, guide_row(1, identifier="nobody"), guide_row(2, value="x"))
    guide.apply(MENDED)
    guide.request("POST", "/DataImport/History/Exception/1/Resubmit", json={"data": guide_row(2)})
    assert reprocessed(guide, all=True) == (1, 1, 1, 0)
    guide.work()
    guide.assert_ties()
    assert guide.request("GET", f"/DataImport/History/{key}").json()["instance"]["ratedCount"] == 2


@pytest.mark.slow
def test_two_reprocesses_of_everything_at_once_attempt_and_charge_each_of_10000_once(guide: Mill):
    unknown(guide, 10_000)
    guide.apply(MENDED)
    with ThreadPoolExecutor(2) as pool:
        numbers = list(pool.map(lambda _: ordered(guide, all=True), range(2)))
    options = {"database_url": guide.database.dsn}
    with started("jobs", **options), started("jobs", **options):
        wait_until(lambda: guide.value("select count(*) from reprocesses where ended_at is null") == 0)
    guide.assert_ties()
    assert guide.value("select count(*) from rating_attempts") == 10_000
    assert guide.value("select count(*) from charges") == 10_000
    assert guide.value("select sum(amount) from charges") == 10_000 * Decimal("1.1562")
    assert sum(counts(guide, number)[2] for number in numbers) == 10_000


@pytest.mark.parametrize("point", ["reprocess-before-commit", "reprocess-after-commit"])
def test_a_process_killed_in_the_middle_is_taken_up_and_neither_doubles_nor_loses(guide: Mill, point: str):
    unknown(guide, 5_000)
    guide.apply(MENDED)
    number = ordered(guide, all=True)
    options = {"database_url": guide.database.dsn}
    with started("jobs", die_at=point, **options) as killed:
        assert was_killed(killed)
    guide.assert_ties()
    done = schedule(guide, number)["sentCount"]
    assert done == (0 if point == "reprocess-before-commit" else reprocess.ROWS_MAX)
    assert guide.value("select count(*) from charges") == done
    begun = guide.value("select clock_timestamp()")
    with started("jobs", **options):
        wait_until(lambda: schedule(guide, number)["complete"])
    assert guide.value("select ended_at - %s from reprocesses", begun) < timedelta(seconds=15)
    assert counts(guide, number) == (5_000, 5_000, 5_000, 0)
    assert guide.value("select count(*) from rating_attempts") == 5_000
    guide.assert_ties()


@pytest.mark.parametrize("how", ["raises", "kills"])
def test_a_record_on_which_rating_fails_stays_open_with_the_error_and_the_others_go_on(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, how: str
):
    class Killed(BaseException):
        """Stands for the death of the process."""

    def failing(usage: Any, *arguments: Any) -> Any:
        if usage["uniqueness_identifier"].is_in(["u37", "u99"]).any():
            raise Killed if how == "kills" else ValueError("too much")
        return rate(usage, *arguments)

    unknown(guide, 100)
    guide.apply(MENDED)
    monkeypatch.setattr(reprocess, "rate", failing)
    number = ordered(guide, all=True)
    for _ in range(200):
        try:
            run(guide)
        except Killed:
            continue
        break
    guide.assert_ties()
    assert counts(guide, number) == (100, 100, 98, 2)
    found = exceptions(guide)
    assert [each["originatingFileRecordIndex"] for each in found] == [38, 100]
    assert {each["udrUsageExceptionTypeId"] for each in found} == {7}
    assert ("too much" if how == "raises" else "died") in found[0]["message"]
    monkeypatch.undo()
    assert reprocessed(guide, all=True) == (2, 2, 2, 0)


def test_an_order_that_is_put_off_does_not_hold_up_the_others(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    unknown(guide, 2)
    guide.apply(MENDED)
    first, second = ordered(guide, all=True), ordered(guide, ids=[1, 2])
    next_table = reprocess._next_table

    def timed_out(connection: Any, order: Any, *given: Any) -> bool:
        if order.reprocess_id == first:
            raise Unavailable("canceling statement due to statement timeout")
        return next_table(connection, order, *given)

    monkeypatch.setattr(reprocess, "_next_table", timed_out)
    run(guide)
    assert schedule(guide, first)["complete"] is None
    assert guide.value("select attempts from reprocesses where reprocess_id = %s", first) == 0
    assert counts(guide, second) == (2, 2, 2, 0)


def test_a_method_that_is_not_there_is_405(guide: Mill):
    answer: Response = guide.request("DELETE", "/UsageRatedExceptionSchedule/1")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
