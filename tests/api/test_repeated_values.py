"""A value that a message repeats is cut and visible, in each dialect and at each step that finds a fault."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.test_long_messages import assert_readable, messages
from tests.fixtures import item_jobs
from tests.fixtures.items import call
from tests.fixtures.mill import Mill, guide_row
from tests.ledger.test_resubmit import JSON_FEED

from ratemill.mediation.profiles import patterns
from ratemill.setup.lint.lint import lint
from ratemill.setup.writing.apply import apply_document
from ratemill.store import owners

CONTROL = "\x1b[31m\u202e\u200b"
LONG = "z" * 240  # less than a name or an id may have: what fails is found late, and repeats it
TEXTS = {"long": LONG, "both": CONTROL + "y" * 230}


@pytest.fixture(params=TEXTS.values(), ids=list(TEXTS))
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_objects_of_usage(guide: Mill, text: str):
    guide.apply(JSON_FEED)
    healthy = {"DateTime": "2022-05-01T01:01:00", "UdrUsageIdentifier": "648-688-4180", "Value": 1}
    healthy |= {"UsageClassName": "data_class", "UniquenessIdentifier": "1"}
    wrong = [{"DateTime": text}, {"Value": text}, {"UsageClassName": text}, {text: text}]
    body = {"data": [healthy, *({**healthy, "UniquenessIdentifier": text, **each} for each in wrong)]}
    answer = guide.request("POST", "/DataImport/Usage/Json/Multi/objects", json=body)
    assert answer.status_code == 200, answer.text
    guide.post_rows(guide_row(1, identifier=text, usage_class=text), guide_row(2, identifier=text))
    guide.work()
    refused = guide.request("GET", "/DataImport/History/Exception/Paged").json()["pagedResults"]["items"]
    assert len(refused) >= len(wrong)
    assert_readable(list(messages(refused)))
    unrated = guide.request("GET", "/Udr/Usage/Exception/Paged").json()["pagedResults"]["items"]
    assert_readable(list(messages(unrated)))
    assert guide.value("select count(*) from charges") >= 1


def in_job(guide: Mill, *items: dict[str, Any]) -> list[str]:
    """Return the messages of the faults and warnings that the job of a batch finds."""
    number = item_jobs.submitted(guide, list(items))
    item_jobs.run(guide)
    return list(messages(item_jobs.outcomes(guide, number)))


def test_items_of_a_batch(guide: Mill, text: str):
    known = {"id": text, "description": text}
    assert item_jobs.imported(guide, known, {"id": "second", "description": text}) == (2, 0, 0, 0)
    # By the job: ids that come twice, circles of parents and of bills, what is not there, and what several have.
    circle = [item_jobs.child(f"{text}{n}", f"{text}{(n + 1) % 3}") for n in range(3)]
    bills = [item_jobs.made_of(f"b{text}", f"c{text}"), item_jobs.made_of(f"c{text}", f"b{text}")]
    several = {"id": "several", "parentReference": {"description": text}}
    found = in_job(guide, {"id": f"d{text}"}, {"id": f"d{text}"}, *circle, *bills, several)
    found += in_job(guide, item_jobs.child("e", f"none{text}"), item_jobs.made_of("f", f"none{text}"))
    field = f"ud_{'z' * 110}"
    assert item_jobs.imported(guide, {"id": "typed", field: 1}) == (1, 0, 0, 0)
    found += in_job(guide, {"id": "other", field: text})
    assert len(found) >= 9
    assert_readable(found)


def test_items_and_lists_that_are_written_one_by_one(guide: Mill, text: str):
    item_jobs.imported(guide, {"id": text, "description": "one"}, item_jobs.child(f"c{text}", text))
    guid = guide.value("select guid::text from characteristic_items where id = %s", text)
    answers = [
        call(guide, "POST", "user1", {"id": text}),
        call(guide, "DELETE", f"user1/{guid}"),
        call(guide, "PUT", f"user1/{guid}", {"id": f"x{text}"}),
        call(guide, "PUT", f"user1/{guid}", {"guid": text}),
        call(guide, "PUT", f"user1/{guid}", {"parentReference": {"id": f"c{text}"}}),
        call(guide, "POST", "user1", {"id": "n", "parentReference": {"id": f"n{text}"}}),
        call(guide, "POST", "user1", {"id": "n", "parentReference": {"guid": text}, f"ud_{text}": [1], text: 1}),
        call(guide, "POST", "user1lists", {"description": "l", "includedItems": [{"id": f"n{text}"}], text: 1}),
        call(guide, "GET", f"user1?$filter={'z' * 240} eq 'a'"),
        call(guide, "GET", f"user1lists?$filter={'z' * 240} eq 'a'"),
    ]
    assert {answer.status_code for answer in answers} <= {400, 409}
    for answer in answers:
        assert_readable(list(messages(answer.json())))
    description = text.lstrip(CONTROL)  # of a list it must be visible
    for _ in range(2):
        answer = call(guide, "POST", "user1lists", {"description": description})
    assert answer.status_code == 409, answer.text
    assert_readable(list(messages(answer.json())))


def test_a_page_of_items(guide: Mill, text: str):
    answer = guide.request("POST", "api/Import/UserXs/Batch", json={text: 1, "IMPORTFILENAME": "a", "pageSize": text})
    assert answer.status_code == 400
    assert_readable(list(messages(answer.json())))
    opened = {"importFileName": "f", "pageSize": 9, "totalItems": 9, "pageNumber": 0}
    rows = [{"fromDate": text, "amount1Range": text, text: text, "sortOrderNumber": text}]
    item = {
        f"udLookup_{text}": {"udfLookupItems": rows, text: 1},
        f"ud_{text}": [],
        text: text,
        "adminClassReference": {},
    }
    answer = guide.request("POST", "api/Import/UserXs/Batch", json={**opened, "items": [item]})
    assert answer.status_code == 400
    found = list(messages(answer.json()))
    assert len(found) >= 6
    assert_readable(found)


def test_lines_of_subscription_data(guide: Mill, text: str):
    lines = [
        {"data": {"type": text, "attributes": {}}},
        {"data": {"type": "subscription_product", "attributes": {"external_ref": text, "name": [text], text: text}}},
        {
            "data": {
                "type": "subscription_product",
                "attributes": {"external_ref": "p", "name": "P", "start_date": text},
            }
        },
        {
            "data": {
                "type": "subscription_plan",
                "attributes": {"external_ref": "q", "name": "Q", "billing_frequency": text},
            }
        },
        {
            "data": {
                "type": "subscription",
                "attributes": {"offering_external_ref": text, "email": text, "currency": text},
            }
        },
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    answer = guide.request("POST", "v2/subscriptions/imports", files={"import_file": content})
    assert answer.status_code == 201, answer.text
    item_jobs.run(guide)
    errors = guide.request("GET", f"v2/subscriptions/imports/{answer.json()['data']['id']}/errors")
    assert errors.status_code == 200, errors.text
    found = list(messages(errors.json()))
    assert len(found) >= len(lines)
    assert_readable(found)
    assert_readable([error for (error,) in guide.rows("select error from subscription_import_errors")])


DOCUMENT = """
dataProfiles: [{name: p, format: csv, fields: [{name: NAME, transforms: [{type: date, format: NAME, timeZone: NAME}]}]}]
usageClasses: [{name: NAME, usageBaseUnitName: NAME, usageClassTypeName: NAME, NAME: NAME}]
usageRateGroups: [{name: NAME, currencyName: NAME, start: NAME}]
usageRates: [{usageRateGroupName: NAME, usageClassName: NAME, amount: NAME}]
accounts: [{name: NAME, currencyName: USD, usageRatePlanName: NAME}, {name: NAME, currencyName: USD}, {name: 1234}]
NAME: []
"""


def test_a_set_up_document(guide: Mill, text: str):
    body = f"ratemill: 1\nowner: {guide.owner}\n{DOCUMENT.replace('NAME', json.dumps(text))}"
    found = apply_document(guide.database, body, Path(), created_by="tester")
    assert len(found.errors) >= 6
    assert_readable([fault.message for fault in found.errors])
    number = apply_document(
        guide.database, f"ratemill: 1\nowner: default\naccounts: [{{name: {'9' * 500}}}]", Path(), created_by="tester"
    )
    assert all("9" * 101 not in fault.message for fault in number.errors)
    for check in (patterns.date_format_fault, patterns.zone_fault):
        assert_readable([check(text) or ""])


def test_the_names_of_a_plan_in_its_lint(guide: Mill):
    name = LONG
    guide.apply(f"""
ratemill: 1
usageClasses: [{{name: {name}, usageBaseUnitName: Data, usageClassTypeName: Data_1}}]
usageRateGroups: [{{name: {name}, currencyName: USD, start: 2000-01-01}},
                  {{name: other, currencyName: USD, start: 2000-01-01}}]
usageRatePlans: [{{name: long, usageRateGroupNames: [{name}, other]}}]
usageRates: [{{usageRateGroupName: {name}, usageClassName: {name}, amount: "1", end: 2020-01-01}}]
""")
    with guide.database.worker() as connection:
        owner_id = owners.find(connection, "default") or 0
    found = lint(guide.database, owner_id, "long").findings
    assert {"groups_overlap", "rates_expired"} <= {each.rule for each in found}
    assert_readable([each.message for each in found])
    identity = guide.value("select usage_class_id from usage_classes where name = %s", name)
    answer = guide.request("DELETE", f"/Usage/Class/{identity}")
    assert answer.status_code == 400, answer.text
    assert_readable(list(messages(answer.json())))
