"""From a posted row to its end: charges, exceptions, refused, duplicates, each between two good rows."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from tests.fixtures.mill import GUIDE, GUIDE_ROW, Mill, guide_row, mill
from tests.fixtures.seeded import number_of

from ratemill.reasons import BY_ID
from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def sent(guide: Mill, *rows: str, feed: str = "guideFeed") -> int:
    """Post rows, let them be worked off, and return the number of the submission."""
    answer = guide.post_rows(*rows, feed=feed)
    assert answer.status_code == 200
    guide.work()
    guide.assert_ties()
    return int(answer.json()["results"]["items"][0]["instance"]["identity"])


def charged(guide: Mill, submission_id: int) -> list[int]:
    return [
        row for (row,) in guide.rows("select row_index from charges where submission_id = %s order by 1", submission_id)
    ]


def test_the_guides_record_becomes_one_charge_to_the_last_digit(guide: Mill):
    submission_id = sent(guide, GUIDE_ROW)
    found = guide.rows(
        "select amount, currency, quantity, usage_identifier, entry, run from charges where submission_id = %s",
        submission_id,
    )
    assert found == [(Decimal("1.1562"), "USD", Decimal(94), "648-688-4180", 0, 1)]


BAD_ROWS = {
    "quantity is a word": (guide_row(1, value="ninety"), "value_must_be_a_number"),
    "quantity is empty": (guide_row(1, value=""), "field_is_required"),
    "quantity is huge": (guide_row(1, value="9" * 400), "quantity_has_too_many_digits"),
    "exponent is huge": (guide_row(1, value="1e400"), "quantity_has_too_many_digits"),
    "quantity has too many places": (guide_row(1, value="0." + "1" * 13), "quantity_has_too_many_places"),
    "quantity is negative": (guide_row(1, value="-1"), "quantity_must_not_be_negative"),
    "quantity is infinite": (guide_row(1, value="Infinity"), "value_must_be_a_number"),
    "date is none": (guide_row(1, date="yesterday"), "value_must_be_a_date"),
    "date does not exist": (guide_row(1, date="2022-02-30T00:00:00"), "value_must_be_a_date"),
    "hour does not exist": (guide_row(1, date="2022-02-03T25:00:00"), "value_must_be_a_date"),
    "identifier is empty": (guide_row(1, identifier=""), "field_is_required"),
    "flag is neither": (guide_row(1, inbound="maybe"), "value_must_be_true_or_false"),
    "class is unknown": (guide_row(1, usage_class="nothing"), "usage_class_not_found"),
    "too few fields": ("2022-05-01T01:01:00.01,Unknown", "row_has_too_few_fields"),
    "too many fields": (GUIDE_ROW + ",more", "row_has_too_many_fields"),
    "empty": ("", "row_has_too_few_fields"),
    "quote is not closed": (guide_row(1, identifier='"648'), "quote_must_be_closed"),
    "line break outside quotes": (guide_row(1, identifier="648\n688"), "row_must_be_one_line"),
    "NUL": (guide_row(1, identifier="648\x00688"), "row_must_not_contain_nul"),
    "half a surrogate pair": (guide_row(1, identifier="648\ud800"), "row_must_not_contain_lone_surrogates"),
    "a field of a mebibyte": (guide_row(1, identifier="x" * 1_048_576), "field_must_not_be_too_long"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_between_two_good_ones_is_refused_alone(guide: Mill, name: str):
    row, reason = BAD_ROWS[name]
    key = number_of(name, 1_000_000)
    submission_id = sent(guide, guide_row(key), row, guide_row(key + 1_000_000))
    assert charged(guide, submission_id) == [1, 3]
    found = guide.rows("select row_index, reason_id from import_exceptions where submission_id = %s", submission_id)
    assert [(index, BY_ID[reason_id].name) for index, reason_id in found] == [(2, reason)]


def test_an_exponent_within_the_limit_is_a_number(guide: Mill):
    submission_id = sent(guide, guide_row(9_000_001, value="1e2"))
    assert guide.value("select quantity from charges where submission_id = %s", submission_id) == 100


def test_the_later_of_two_equal_records_is_the_duplicate_and_names_the_earlier(guide: Mill):
    row = guide_row(9_000_002)
    first = sent(guide, guide_row(9_000_003), row, row)
    second = sent(guide, row)
    found = guide.rows(
        "select submission_id, row_index, of_submission_id, of_row_index from duplicates"
        " where submission_id in (%s, %s) order by 1, 2",
        first,
        second,
    )
    assert found == [(first, 3, first, 2), (second, 1, first, 2)]


def test_a_refused_row_mended_and_sent_again_is_no_duplicate(guide: Mill):
    sent(guide, guide_row(9_000_004, value="ninety"))
    assert charged(guide, sent(guide, guide_row(9_000_004))) == [1]


def test_an_unknown_identifier_is_a_rating_exception_and_the_others_go_on(guide: Mill):
    submission_id = sent(guide, guide_row(9_000_005), guide_row(9_000_006, identifier="nobody"), guide_row(9_000_007))
    assert charged(guide, submission_id) == [1, 3]
    found = guide.rows(
        "select row_index, kind, reason_id from rating_exceptions where submission_id = %s", submission_id
    )
    assert found == [(2, 1, 2101)]


def test_a_plan_without_a_group_in_the_currency_is_a_rating_exception(guide: Mill):
    guide.apply(
        "ratemill: 1\naccounts: [{name: Euro, currencyName: EUR, usageRatePlanName: Standard}]\n"
        "accountServices: [{accountName: Euro, name: Line}]\n"
        "usageIdentifiers: [{udrUsageIdentifier: euro-1, accountName: Euro, accountServiceName: Line}]",
    )
    submission_id = sent(guide, guide_row(9_000_008), guide_row(9_000_009, identifier="euro-1"), guide_row(9_000_010))
    assert charged(guide, submission_id) == [1, 3]
    assert guide.rows("select kind, reason_id from rating_exceptions where submission_id = %s", submission_id) == [
        (4, 2401)
    ]


def test_set_up_is_in_force_for_the_next_batch(guide: Mill):
    before = sent(guide, guide_row(9_000_011, identifier="late"))
    assert charged(guide, before) == []
    guide.apply(
        "ratemill: 1\naccountServices: [{accountName: Acme, name: Late}]\n"
        "usageIdentifiers: [{udrUsageIdentifier: late, accountName: Acme, accountServiceName: Late}]",
    )
    assert charged(guide, sent(guide, guide_row(9_000_012, identifier="late"))) == [1]


def test_a_batch_has_up_to_a_thousand_records_and_mixes_submissions(guide: Mill):
    for number in range(3):
        rows = [guide_row(10_000_000 + 1_000 * number + row) for row in range(700)]
        assert guide.post_rows(*rows).status_code == 200
    guide.work()
    guide.assert_ties()
    last = guide.rows(
        "select sum(rows_received), count(distinct submission_id) from batch_spans"
        " group by batch_id order by batch_id desc limit 3",
    )
    assert sorted(last) == [(100, 1), (1_000, 2), (1_000, 2)]


def test_two_owners_with_the_same_names_do_not_meet(guide: Mill):
    other = Mill(guide.database, guide.settings, "other", guide.client)
    other.apply(GUIDE.replace("0.0123", "0.5"))
    row = guide_row(9_000_013)
    mine, theirs = sent(guide, row), sent(other, row)
    assert guide.value("select amount from charges where submission_id = %s", mine) == Decimal("1.1562")
    assert guide.value("select amount from charges where submission_id = %s", theirs) == Decimal(47)


def test_half_a_surrogate_pair_in_an_object_is_the_fault_of_its_row_alone(guide: Mill):
    names = ["DateTime", "UdrUsageIdentifier", "Value", "UsageClassName", "UniquenessIdentifier"]
    known = dict(zip(names, ["2022-05-01T01:01:00", "648-688-4180", "94", "data_class", "half"], strict=True))
    rows = [json.dumps({**known, "UniquenessIdentifier": unique}) for unique in ("o1", "o2\ud800", "o3")]
    answer = guide.request("POST", "/DataImport/Usage/Json/Multi/guideFeed", content=f'{{"data":[{",".join(rows)}]}}')
    assert answer.status_code == 200, answer.text
    guide.work()
    guide.assert_ties()
    submission_id = guide.value("select max(submission_id) from submissions")
    found = guide.rows("select row_index, reason_id from import_exceptions where submission_id = %s", submission_id)
    assert [(row, BY_ID[reason].name) for row, reason in found] == [(2, "row_must_not_contain_lone_surrogates")]
    assert charged(guide, submission_id) == [1, 3]
