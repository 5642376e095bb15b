"""What callers name may be so long: a longer text is rejected with field, length and bound, the longest is stored."""

import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from tests.api.setup.calls import refused, send
from tests.fixtures.item_jobs import outcomes, submitted
from tests.fixtures.item_jobs import run as run_items
from tests.fixtures.items import call
from tests.fixtures.long_texts import LENGTHS, long_text
from tests.fixtures.mill import Mill, guide_row, mill

from ratemill.jobs.runner import Runner
from ratemill.reference.characteristics.values import ID_CHARS_MAX, REFERENCE_CHARS_MAX
from ratemill.settings import Settings
from ratemill.setup.declaration import NAME_CHARS_MAX, Member, MemberKind, SetupObject
from ratemill.setup.objects.registry import WRITABLE
from ratemill.store.connections import Database

TEXTS = [
    (each, member)
    for each in WRITABLE.values()
    for member in each.members
    if member.kind is MemberKind.TEXT and not (member.virtual or member.inner or member.column == each.document)
]
LINE = {"name": "A product"}


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


@pytest.mark.parametrize(("each", "member"), TEXTS, ids=lambda value: getattr(value, "list_name", "") or value.name)
def test_a_text_of_a_set_up_object_has_a_bound(mine: Mill, each: SetupObject, member: Member):
    for length in [length for length in (member.chars_max + 1, *LENGTHS) if length > member.chars_max]:
        errors = refused(send(mine, "POST", each.path.strip("/") + "/", {member.name: long_text(length)}))
        said = f"{member.name}: must have at most {member.chars_max} characters, got {length}"
        assert [error["field"] for error in errors if said in error["message"]] == [member.name], errors


def test_the_longest_names_are_stored(mine: Mill):
    name, identifier = long_text(NAME_CHARS_MAX, "name"), long_text(NAME_CHARS_MAX, "identifier")
    mine.apply(f"""
ratemill: 1
geoTreeLocations: [{{name: "{name}"}}]
accounts: [{{name: "{name}", currencyName: USD, usageRatePlanName: Standard}}]
accountServices: [{{accountName: "{name}", name: "{name}"}}]
usageIdentifiers: [{{udrUsageIdentifier: "{identifier}", accountName: "{name}", accountServiceName: "{name}"}}]
""")
    mine.post_rows(guide_row(identifier=identifier))
    mine.work()
    answer = mine.request("GET", "/Udr/Charge/Paged", params={"udrUsageIdentifier": identifier})
    (charge,) = answer.json()["pagedResults"]["items"]
    assert (charge["accountName"], charge["accountServiceName"]) == (name, name)


# Items


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", ["id", "description", "parentReference", "ud_color", "long"])
def test_a_long_text_of_an_item_is_rejected_by_its_field_or_stored(mine: Mill, name: str, length: int):
    text = long_text(length, name)
    value: Any = {"id": text} if name.endswith("Reference") else text
    item = {"id": f"of {name} {length}", ("ud_" + text if name == "long" else name): "a" if name == "long" else value}
    answer = call(mine, "POST", "user1", item)
    if name == "ud_color" or (name == "description" and length < 4_000):
        assert answer.status_code == 201, answer.text
        return
    assert answer.status_code == 400, answer.text
    assert any("characters" in error["message"] for error in answer.json()["errors"])


def test_a_page_of_items_with_the_longest_texts_is_stored(mine: Mill):
    items: list[dict[str, Any]] = [
        {"id": long_text(ID_CHARS_MAX, number), "description": long_text(4_000, number), "comment": long_text(65_536)}
        for number in range(3)
    ]
    named = {"description": long_text(REFERENCE_CHARS_MAX)}
    items[1]["adminClassReference"] = items[1]["ud_" + long_text(125)] = named
    items[2]["parentReference"] = {"id": items[0]["id"]}
    guid = submitted(mine, items)
    run_items(mine)
    assert [outcome["outcome"] for outcome in outcomes(mine, guid)] == ["created"] * 3


@pytest.mark.parametrize("length", LENGTHS)
def test_a_page_with_a_long_id_is_rejected_by_its_field(mine: Mill, length: int):
    opening = {"importFileName": "a file", "pageSize": 2, "totalItems": 2}
    path = "api/Import/User1s/Batch"
    batch = mine.request("POST", path, json=opening).json()["result"]["batchId"]
    page = {"pageNumber": 0, "items": [{"id": "healthy"}, {"id": long_text(length)}]}
    answer = mine.request("PATCH", f"{path}/{batch}", json=page)
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert (error["property"], str(length) in error["message"], "255" in error["message"]) == (
        "items[1].id",
        True,
        True,
    )
    answer = mine.request("POST", path, json={**opening, "importFileName": long_text(length)})
    assert [error["property"] for error in answer.json()["errors"]] == ["importFileName"]


# Subscriptions


def test_long_lines_of_a_subscription_file_are_refused_by_their_field_next_to_stored_ones(mine: Mill):
    references = ["healthy", long_text(2_048), long_text(2_049), *map(long_text, LENGTHS)]
    lines = [
        json.dumps({"data": {"type": "subscription_product", "attributes": {**LINE, "external_ref": reference}}})
        for reference in references
    ]
    files = [("import_file", ("data.jsonl", "\n".join(lines).encode()))]
    answer = mine.request("POST", "v2/subscriptions/imports", files=files)
    assert answer.status_code < 300, answer.text
    runner = Runner(mine.database, mine.settings, Event())
    while runner.step():
        pass
    assert mine.rows("select length(external_ref) from subscription_objects order by 1") == [(7,), (2_048,)]
    errors = mine.rows("select line_number, field, error from subscription_import_errors order by 1")
    assert [(line, field) for line, field, _ in errors] == [(line, "external_ref") for line in (3, 4, 5)]
    assert all("2,048" in error or "2048" in error for _, _, error in errors)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_long_idempotency_key_is_rejected(mine: Mill, length: int):
    answer = mine.post_rows("a", headers={"Idempotency-Key": "k" * length})
    assert answer.status_code == 400, answer.text
    assert "255" in answer.text
