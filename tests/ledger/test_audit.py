"""The audit finds what does not tie: one charge deleted, one doubled, one count changed, each by its own rule."""

from collections.abc import Iterator

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.mills import NewMill

from ratemill.ledger.audit import audit

ROWS = [guide_row(0), guide_row(0), guide_row(1), guide_row(2, identifier="nobody"), guide_row(3, value="ninety")]


@pytest.fixture
def guide(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill() as made:
        made.post_rows(*ROWS)
        made.work()
        yield made


def rules(guide: Mill) -> set[str]:
    return {failure.rule for failure in audit(guide.database).failures}


def test_it_holds_when_every_record_has_one_end(guide: Mill):
    found = audit(guide.database)
    assert found.holds
    assert found.records == len(ROWS)
    assert found.totals | {"requests": 0} == {
        "requests": 0,
        "received": 5,
        "waiting": 0,
        "imported": 3,
        "skipped": 0,
        "duplicate": 1,
        "refused": 1,
        "rated": 2,
        "rating_exceptions": 1,
        "written_off": 0,
    }
    assert found.amounts == [{"currency": "USD", "charges": 2, "amount": "2.3124"}]


def test_records_that_wait_are_accounted_for(guide: Mill):
    guide.post_rows(guide_row(9), guide_row(10))
    found = audit(guide.database)
    assert found.holds
    assert (found.records, found.totals["waiting"]) == (7, 2)


def test_a_charge_that_is_gone_is_missed_by_its_row(guide: Mill):
    guide.change("delete from charges where row_index = 3")
    missing = [failure for failure in audit(guide.database).failures if failure.rule == "record_must_have_an_end"]
    assert [(failure.submission_id, failure.row_index) for failure in missing] == [(1, 3)]


def test_a_charge_that_is_there_twice_is_found(guide: Mill):
    guide.change(
        "create temporary table again as select * from charges where row_index = 1;"
        " update again set entry = 1; insert into charges select * from again",
    )
    assert "record_must_have_one_end" in rules(guide)
    assert "record_must_have_an_end" not in rules(guide)


def test_a_charge_of_a_record_that_is_also_an_exception_is_found(guide: Mill):
    guide.change(
        "create temporary table again as select * from charges where row_index = 1;"
        " update again set row_index = 4; insert into charges select * from again",
    )
    assert "record_must_have_one_end" in rules(guide)


def test_a_count_that_was_changed_is_found(guide: Mill):
    guide.change("update batch_spans set rows_rated = rows_rated - 1, rows_excepted = rows_excepted + 1")
    assert rules(guide) == {"counts_must_be_those_of_the_records"}


def test_a_body_that_was_changed_is_found(guide: Mill):
    import zstandard

    packed = zstandard.ZstdCompressor().compress(b'{"data":["x"]}')
    guide.change("update submission_bodies set body = %s", packed)
    assert rules(guide) == {"body_must_hold_the_records_accepted"}


def test_a_row_count_that_was_changed_is_found(guide: Mill):
    guide.change("update submissions set row_count = row_count + 1")
    assert {"body_must_hold_the_records_accepted", "record_must_have_an_end"} <= rules(guide)


def test_a_duplicate_of_nothing_is_found(guide: Mill):
    guide.change("update duplicates set of_row_index = 5")
    assert rules(guide) == {"duplicate_must_repeat_an_imported_record"}


def test_an_owner_may_be_audited_alone(guide: Mill):
    other = Mill(guide.database, guide.settings, "other", guide.client)
    guide.change("delete from charges where row_index = 3")
    owner_id = guide.value("select owner_id from owners where name = %s", other.owner)
    assert audit(guide.database, owner_id).holds
    assert not audit(guide.database, 1).holds
