"""The version of a data profile that is in force when a batch is cut holds for it, and its records name it for ever."""

from typing import Any

from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.two_mills import instance, items

from ratemill.ledger.lookup import look_up
from ratemill.ledger.remake import remake

TIMES_1000 = """
ratemill: 1
dataProfiles:
  - {name: guide_csv, mappings: [{target: value, formula: Value * 1000}]}
"""
REFUSING = """
ratemill: 1
dataProfiles:
  - {name: guide_csv, mappings: [{target: value, formula: Value * 1000}], timeZone: Europe/Rome,
     filter: {search: [{name: OriginatingIdentifier, operator: notEq, value: test}]}}
"""


def send(guide: Mill, *rows: str) -> str:
    answer = guide.post_rows(*rows)
    assert answer.status_code == 200
    return str(answer.json()["trackingId"])


def records(guide: Mill, key: str) -> list[dict[str, Any]]:
    return items(guide, f"/DataImport/History/{key}/Record/Paged")


def values(guide: Mill, key: str) -> list[tuple[int, str]]:
    """Return version and mediated value of each record of a request."""
    return [(each["dataProfileVersion"], each["udrMediated"]["value"]) for each in records(guide, key)]


def assert_remade_equal(guide: Mill, *keys: str) -> None:
    """Hold that every record of the requests is remade equal, each by its own version."""
    for key in keys:
        (match,) = look_up(guide.database, 1, key, 1_000)
        found = remake(
            guide.database,
            1,
            match.records,
            field_chars_max=guide.settings.field_chars_max,
            growth_bytes_max=guide.settings.worker_growth_bytes_max,
        )
        assert [each.is_equal for each in found.values()] == [True] * len(records(guide, key))


def test_a_version_published_between_accept_and_batch_holds(guide: Mill):
    key = send(guide, guide_row(1, value="5"))
    assert (
        instance(guide, f"/DataImport/History/{key}")["dataProfileVersion"] == 1
    )  # while there is no batch: the feed's
    guide.apply(TIMES_1000)
    guide.work()
    assert values(guide, key) == [(2, "5000")]
    history = instance(guide, f"/DataImport/History/{key}")
    assert history["dataProfileVersion"] == 2
    assert instance(guide, f"/DataImport/Batch/{history['importBatchIds'][0]}")["dataProfileVersion"] == 2
    assert_remade_equal(guide, key)
    guide.assert_ties()


def test_each_batch_of_a_feed_keeps_the_version_it_was_mediated_with(guide: Mill):
    keys: list[str] = []
    for document in ("ratemill: 1", TIMES_1000, REFUSING):
        guide.apply(document)
        keys.append(send(guide, guide_row(len(keys), value="5", date="2022-05-01T12:00")))
        guide.work()
    assert [values(guide, key) for key in keys] == [[(1, "5")], [(2, "5000")], [(3, "5000")]]
    dates = [records(guide, key)[0]["udrMediated"]["date"] for key in keys]
    assert dates == ["2022-05-01T12:00:00.000Z", "2022-05-01T12:00:00.000Z", "2022-05-01T10:00:00.000Z"]
    shown = [instance(guide, f"/DataImport/History/{key}")["dataProfileVersion"] for key in keys]
    assert shown == [1, 2, 3]
    assert_remade_equal(guide, *keys)
    guide.assert_ties()


def test_records_of_several_versions_in_one_trace_are_each_remade_by_their_own(guide: Mill):
    for number, document in enumerate(("ratemill: 1", TIMES_1000, REFUSING)):
        guide.apply(document)
        send(guide, guide_row(number))
        guide.work()
    (match,) = look_up(guide.database, 1, "648-688-4180", 1_000)
    assert [life.profile_version for life in match.records] == [1, 2, 3]
    found = remake(
        guide.database,
        1,
        match.records,
        field_chars_max=guide.settings.field_chars_max,
        growth_bytes_max=guide.settings.worker_growth_bytes_max,
    )
    assert [each.is_equal for each in found.values()] == [True, True, True]


def test_a_record_sent_in_again_takes_the_version_of_its_new_batch(guide: Mill):
    key = send(guide, guide_row(1, value="ninety"), guide_row(2, value="5"))
    guide.work()
    (refused,) = items(guide, "/DataImport/History/Exception/Paged", trackingId=key)
    guide.apply(TIMES_1000)
    path = f"/DataImport/History/Exception/{refused['dataImportExceptionId']}/Resubmit"
    assert guide.request("POST", path, json={"data": guide_row(1, value="90")}).status_code == 200
    guide.work()
    assert values(guide, key) == [(2, "90000"), (1, "5")]
    assert instance(guide, f"/DataImport/History/{key}")["dataProfileVersion"] == 2  # that of the last batch
    assert_remade_equal(guide, key)
    guide.assert_ties()


def test_a_document_that_changes_nothing_of_a_profile_publishes_no_version(guide: Mill):
    guide.apply(TIMES_1000)
    guide.apply(TIMES_1000)
    key = send(guide, guide_row(1))
    guide.work()
    assert [each["dataProfileVersion"] for each in records(guide, key)] == [2]
    assert guide.value("select count(*) from data_profile_versions where data_profile_id = 1") == 2
