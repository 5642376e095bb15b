"""The job of a batch of characteristics: each item comes to one outcome, and what is refused was never there."""

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.fixtures.item_jobs import (
    Item,
    child,
    counts,
    imported,
    job,
    made_of,
    outcomes,
    parents,
    refused,
    run,
    stored,
    submitted,
    uses,
)
from tests.fixtures.mill import Mill, mill

from ratemill.jobs.characteristics import batches, passes
from ratemill.jobs.runner import Runner
from ratemill.reference.characteristics import circles


def test_the_item_of_the_seed_is_imported_once_the_items_that_it_names_are_there(guide: Mill, cases: Path):
    item = json.loads((cases / "characteristic_batches/page_request.json").read_text())["items"][0]
    assert refused(guide, item) == {"004 Product": ["reference_not_found"] * 3}
    assert imported(guide, {"id": "idOfParent"}, {"id": "exampleID"}) == (2, 0, 0, 0)
    assert imported(guide, item) == (1, 0, 0, 0)
    assert stored(guide)["004 Product"] == item
    assert parents(guide)["004 Product"] == "idOfParent"
    assert uses(guide) == {
        ("004 Product", "udLookup_LookupUDField.udfLookupItems[0].udKeyXReference", "exampleID"),
        ("004 Product", "user1BOMHeaders[0].user1BOMDetails[0].udKey1Reference", "exampleID"),
    }
    assert ("contact", "id", "exampleID") in guide.rows("select kind, key, value from named_objects")
    fields = dict(guide.rows("select name, type from characteristic_fields"))
    assert fields == {
        "ud_userDefinedStringField": "string",
        "ud_userDefinedNumberField": "number",
        "ud_userDefinedReference": "reference",
        "udLookup_LookupUDField": "lookup",
    }


def test_the_same_again_changes_nothing_and_a_member_that_is_not_sent_stays(guide: Mill):
    items = [{"id": str(n), "comment": f"c{n}", "ud_a": 87.0} for n in range(5)]
    assert imported(guide, *items) == (5, 0, 0, 0)
    before = guide.rows("select * from characteristic_items order by item_id")
    assert imported(guide, *items) == (0, 0, 5, 0)
    assert imported(guide, *[{"id": str(n), "description": None} for n in range(5)]) == (0, 0, 5, 0)
    assert guide.rows("select * from characteristic_items order by item_id") == before
    assert imported(guide, {"id": "3", "comment": "new"}) == (0, 1, 0, 0)
    assert stored(guide)["3"] == {"id": "3", "comment": "new", "ud_a": 87.0}
    assert imported(guide, {"id": "3", "comment": None}) == (0, 1, 0, 0)
    assert guide.value("select revision from characteristic_items where id = '3'") == 3


def test_documents_keep_order_and_digits(guide: Mill):
    text = '[{"ud_b":1.50,"id":"a","ud_a":1E+2,"description":"Ünï"}]'
    body = f'{{"importFileName":"f","pageSize":1,"totalItems":1,"pageNumber":0,"items":{text}}}'
    assert guide.request("POST", "api/Import/UserXs/Batch?submit", content=body).status_code == 201
    run(guide)
    assert guide.value("select document from characteristic_items") == text[1:-1]
    assert guide.value("select description from characteristic_items") == "Ünï"


def test_documents_are_kept_without_blanks_and_escapes_and_with_what_is_known_alone(guide: Mill):
    text = r"""[ {"id" : "a\u00e9\t", "ud_a": [ 1 ]}, {"id": "b", "ud_a": 1.0, "more": {"x": 1}},
        {"comment" :"c", "ud_a": "t\\n"} ]""".replace("[ 1 ]", "-0.0")
    body = f'{{"importFileName":"f","pageSize":3,"totalItems":3,"pageNumber":0,"items":{text}}}'
    answer = guide.request("POST", "api/Import/UserXs/Batch?submit", content=body.encode())
    assert answer.status_code == 201, answer.text
    run(guide)
    documents = [row[0] for row in guide.rows("select document from characteristic_items order by item_id")]
    assert documents == [
        r'{"id":"aé\t","ud_a":-0.0}',
        '{"id":"b","ud_a":1.0}',
        r'{"id":"1","comment":"c","ud_a":"t\\n"}',
    ]
    assert guide.rows("select id from characteristic_items order by item_id")[0] == ("aé\t",)


def test_what_an_item_names_may_come_later_in_any_page(guide: Mill):
    items = [child("a", "b"), made_of("m", "z", "a"), child("b", "c"), {"id": "c"}, {"id": "z"}]
    assert imported(guide, *items, page_size=2) == (5, 0, 0, 0)
    assert parents(guide) == {"a": "b", "b": "c", "c": None, "m": None, "z": None}
    assert {(item, used) for item, _, used in uses(guide)} == {("m", "z"), ("m", "a")}
    assert guide.value("select count(*) from characteristic_staged") == 0
    assert guide.value("select count(*) from characteristic_staged_uses") == 0


def test_items_are_found_across_tables(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "ITEMS_MAX", 4)
    monkeypatch.setattr(passes, "LINKS_MAX", 3)
    items = [child(str(n), str(n + 7)) for n in range(23)] + [{"id": str(n)} for n in range(23, 30)]
    assert imported(guide, *items, page_size=3) == (30, 0, 0, 0)
    assert parents(guide) == {str(n): str(n + 7) if n < 23 else None for n in range(30)}
    again = [made_of(str(n), str(n + 1), "29") for n in range(29)]
    assert imported(guide, *again, page_size=5) == (0, 29, 0, 0)
    assert len(uses(guide)) == 58
    assert parents(guide)["0"] == "7"


@pytest.mark.parametrize("key", ["id", "description", "guid", "sid"])
def test_a_reference_finds_its_item_by_each_key(guide: Mill, key: str):
    imported(guide, {"id": "p", "description": "The parent"})
    item_id, guid = guide.rows("select item_id, guid::text from characteristic_items")[0]
    value = {"id": "p", "description": "The parent", "guid": guid.upper(), "sid": item_id}[key]
    assert imported(guide, {"id": "c", "parentReference": {key: value}}) == (1, 0, 0, 0)
    assert parents(guide)["c"] == "p"


def test_a_description_of_the_same_batch_is_found_unless_two_items_bear_it(guide: Mill):
    items: list[Item] = [
        {"id": "a", "parentReference": {"description": "One"}},
        {"id": "b", "parentReference": {"description": "Two"}},
        {"id": "1", "description": "One"},
        {"id": "2", "description": "Two"},
        {"id": "3", "description": "Two"},
    ]
    assert refused(guide, *items) == {"b": ["reference_ambiguous"]}
    assert parents(guide)["a"] == "1"
    assert refused(guide, {"id": "c", "parentReference": {"description": "Two"}}) == {"c": ["reference_ambiguous"]}


@pytest.mark.parametrize(
    "reference",
    [{"id": "gone"}, {"description": "gone"}, {"guid": "e29a07ac-4391-4846-9cf6-492fbba5b2dc"}, {"sid": 99}],
)
def test_what_names_nothing_is_refused_and_named(guide: Mill, reference: dict[str, Any]):
    number = submitted(guide, [{"id": "a"}, {"id": "b", "parentReference": reference}])
    run(guide)
    assert counts(guide, number) == (1, 0, 0, 1)
    error = outcomes(guide, number)[1]["errors"][0]
    assert error["property"] == "items[1].parentReference"
    assert "parentReference" in error["message"]
    assert str(next(iter(reference.values()))) in error["message"]
    assert set(stored(guide)) == {"a"}


def test_who_names_a_refused_item_is_refused_too_unless_it_is_stored(guide: Mill):
    imported(guide, {"id": "old"})
    items = [child("a", "b"), child("b", "c"), child("c", "gone"), child("old", "gone"), child("d", "old"), {"id": "e"}]
    assert refused(guide, *items) == {
        "a": ["reference_refused"],
        "b": ["reference_refused"],
        "c": ["reference_not_found"],
        "old": ["reference_not_found"],
    }
    assert parents(guide) == {"old": None, "d": "old", "e": None}


def test_all_faults_of_an_item_are_told_at_once(guide: Mill):
    item = {**made_of("m", "x", "y"), "parentReference": {"id": "z"}}
    number = submitted(guide, [item, {"id": "m", "parentReference": {"id": "q"}}])
    run(guide)
    first, second = outcomes(guide, number)
    assert [error["property"] for error in first["errors"]] == [
        "items[0].parentReference",
        "items[0].user1BOMHeaders[0].user1BOMDetails[0].udKey1Reference",
        "items[0].user1BOMHeaders[0].user1BOMDetails[1].udKey1Reference",
    ]
    assert [error["code"] for error in second["errors"]] == ["id_twice_in_batch", "reference_not_found"]


def test_of_an_id_that_comes_twice_the_first_holds(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "ITEMS_MAX", 2)
    items = [{"id": "a", "comment": str(n)} for n in range(3)]
    number = submitted(guide, items)
    run(guide)
    assert [each["outcome"] for each in outcomes(guide, number)] == ["created", "refused", "refused"]
    assert stored(guide) == {"a": items[0]}


def test_a_changed_bill_takes_the_place_of_the_old(guide: Mill):
    imported(guide, {"id": "x"}, {"id": "y"}, made_of("m", "x"))
    assert imported(guide, made_of("m", "y")) == (0, 1, 0, 0)
    assert {used for _, _, used in uses(guide)} == {"y"}
    assert imported(guide, {"id": "m", "comment": "kept"}) == (0, 1, 0, 0)
    assert {used for _, _, used in uses(guide)} == {"y"}
    assert imported(guide, {"id": "m", "user1BOMHeaders": None}) == (0, 1, 0, 0)
    assert uses(guide) == set()


def test_an_item_without_an_id_gets_the_next_number_that_is_free(guide: Mill):
    imported(guide, {"id": "2"})
    number = submitted(guide, [{"comment": "first"}, {"comment": "second"}, {"id": "3"}])
    run(guide)
    assert [each["id"] for each in outcomes(guide, number)] == ["1", "4", "3"]
    assert stored(guide)["4"] == {"id": "4", "comment": "second"}
    assert imported(guide, {"comment": "first"}) == (1, 0, 0, 0)
    assert "5" in stored(guide)


def test_bills_that_overlap_or_do_not_come_to_100_are_warned_of(guide: Mill):
    item = made_of("m", "x", effectiveFromDate="2021-01-01T00:00:00", effectiveToDate="9999-12-31T23:59:59")
    other = json.loads(json.dumps(item["user1BOMHeaders"][0]))
    other["user1BOMDetails"][0]["allocationPercent"] = 60
    item["user1BOMHeaders"].append(other)
    number = submitted(guide, [{"id": "x"}, {**item, "unknown": 1}])
    run(guide)
    assert counts(guide, number) == (2, 0, 0, 0)
    warnings = outcomes(guide, number)[1]["warnings"]
    assert [each["code"] for each in warnings] == ["member_not_known", "percents_not_100", "dates_overlap"]
    assert job(guide, number)["warningCount"] == 3
    assert "unknown" not in stored(guide)["m"]


def test_a_declared_type_is_held_and_an_inferred_one_is_warned_of(guide: Mill):
    imported(guide, {"id": "a", "ud_free": "text"})
    guide.change("""insert into characteristic_fields (owner_id, characteristic, name, type, declared)
        values (1, 1, 'ud_n', 'number', true)""")
    number = submitted(guide, [{"id": "b", "ud_n": "one"}, {"id": "c", "ud_n": 1, "ud_free": 2}])
    run(guide)
    first, second = outcomes(guide, number)
    assert (first["outcome"], [each["property"] for each in first["errors"]]) == ("refused", ["items[0].ud_n"])
    assert (second["outcome"], [each["code"] for each in second["warnings"]]) == ("created", ["type_differs"])


def test_strict_references_must_be_registered(guide: Mill):
    item = {"id": "a", "adminClassReference": {"id": "films"}}
    assert imported(guide, {**item, "id": "b"}) == (1, 0, 0, 0)
    settings = guide.settings.model_copy(update={"references_strict": True})
    with mill(guide.database, settings, document="ratemill: 1") as strict:
        assert imported(strict, item) == (1, 0, 0, 0)
        other = {"id": "c", "adminClassReference": {"id": "books"}}
        assert refused(strict, other) == {"c": ["reference_not_found"]}


def test_a_dry_run_checks_and_counts_and_writes_nothing(guide: Mill):
    imported(guide, {"id": "a", "comment": "1"}, {"id": "b"})
    before = guide.rows("select * from characteristic_items order by item_id")
    items = [{"id": "a", "comment": "2"}, {"id": "b"}, {"comment": "new"}, child("d", "gone"), child("e", "a")]
    number = submitted(guide, [*items, {"id": "f", "ud_x": {"id": "q"}}], submit="?submit&dryRun")
    run(guide)
    shown = job(guide, number)
    assert (shown["state"], shown["dryRun"], shown["dryRunState"]) == ("open", True, "completedWithErrors")
    assert [shown[f"{name}Count"] for name in ("created", "updated", "unchanged", "refused")] == [3, 1, 1, 1]
    assert shown["completedCountNumber"] == shown["totalCountNumber"] == 6
    assert shown["endDatetime"] is not None
    assert [each["id"] for each in outcomes(guide, number, outcome="refused")] == ["d"]
    assert guide.rows("select * from characteristic_items order by item_id") == before
    for table in ("characteristic_fields", "named_objects", "characteristic_staged", "characteristic_staged_uses"):
        assert guide.value(f"select count(*) from {table}") == 0
    assert imported(guide, {"comment": "new"}) == (1, 0, 0, 0)
    assert "1" in stored(guide)


def patched(guide: Mill, number: str, query: str = "", **body: Any) -> None:
    batch_id = job(guide, number)["batchId"]
    options = {"json": body} if body else {}
    answer = guide.request("PATCH", f"api/Import/User1s/Batch/{batch_id}{query}", **options)
    assert answer.status_code == 200, answer.text


def test_after_a_dry_run_the_batch_is_mended_and_submitted_for_real(guide: Mill):
    number = submitted(guide, [{"id": "a"}, child("b", "gone")], page_size=1, submit="?submit&dryRun")
    run(guide)
    assert job(guide, number)["dryRunState"] == "completedWithErrors"
    patched(guide, number, pageNumber=1, items=[child("b", "a")])
    shown = job(guide, number)  # what the dry run said is about other items
    assert (shown["state"], shown["dryRun"], shown["dryRunState"]) == ("open", False, None)
    assert (shown["completedCountNumber"], shown["submittedDatetime"], outcomes(guide, number)) == (0, None, [])
    patched(guide, number, "?submit&dryRun")
    run(guide)
    assert job(guide, number)["dryRunState"] == "completed"
    assert stored(guide) == {}
    patched(guide, number, "?submit")
    run(guide)
    assert counts(guide, number) == (2, 0, 0, 0)
    assert job(guide, number)["dryRunState"] is None
    assert parents(guide) == {"a": None, "b": "a"}


def test_a_dry_run_that_is_cancelled_or_fails_leaves_the_batch_open(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    number = submitted(guide, [{"id": "a"}], submit="?submit&dryRun")
    answer = guide.request("POST", f"api/Import/Jobs/{number}/cancel").json()["result"]
    assert (answer["state"], answer["dryRunState"]) == ("open", "cancelled")
    with monkeypatch.context() as patch:
        patch.setattr(circles, "refused_together", lambda *_: 1 / 0)
        patched(guide, number, "?submit&dryRun")
        run(guide)
    shown = job(guide, number)
    assert (shown["state"], shown["dryRunState"], "ZeroDivision" in shown["error"]) == ("open", "failed", True)
    patched(guide, number, "?submit")
    run(guide)
    assert counts(guide, number) == (1, 0, 0, 0)


def test_batches_of_one_characteristic_go_one_after_the_other(guide: Mill):
    first = submitted(guide, [{"id": "a", "comment": "1"}, {"id": "b"}])
    second = submitted(guide, [{"id": "a", "comment": "2"}])
    other = submitted(guide, [{"id": "a", "comment": "3"}], number=2)
    runner = Runner(guide.database, guide.settings, Event())
    runner.step()
    assert [job(guide, each)["state"] for each in (first, second, other)] == ["processing", "submitted", "processing"]
    run(guide)
    assert [counts(guide, each) for each in (first, second, other)] == [(2, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0)]
    found = guide.rows("select characteristic, document::json ->> 'comment' from characteristic_items where id = 'a'")
    assert sorted(found) == [(1, "2"), (2, "3")]


def test_owners_have_items_of_their_own(guide: Mill):
    other = Mill(guide.database, guide.settings, "other", guide.client)
    imported(guide, {"id": "p"})
    number = submitted(other, [child("c", "p")])
    run(guide)
    assert counts(other, number) == (0, 0, 0, 1)
    assert guide.request("GET", f"api/Import/Jobs/{number}").status_code == 404
