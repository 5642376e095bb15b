"""Two owners over every route and verb: what is another owner's answers as what does not exist, and stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route
from tests.api.owned import KEY, PLURALS, Json, Owned, template
from tests.api.setup.test_walk import SAMPLES
from tests.fixtures.items import NOBODY
from tests.fixtures.mill import Mill, guide_row, mill

from ratemill.api.http.auth import right_of
from ratemill.api.server import create_app
from ratemill.settings import Settings
from ratemill.setup.declaration import MemberKind
from ratemill.setup.objects.registry import BY_LIST, OBJECTS
from ratemill.store.connections import Database

ROUTES = [
    (route, method)
    for route in create_app(None, Settings()).routes  # type: ignore[arg-type]
    if isinstance(route, Route) and right_of(route)
    for method in sorted(route.methods or ())
]
NAMING = [each for each in ROUTES if re.search(r"\{(?!number:characteristic\}|named:)", each[0].path)]
LISTING = [each for each in ROUTES if each not in NAMING]
SEARCH = '{"query": {}}'
NOTHING = "987654321098"  # no object has this number
# Kinds of exceptions and base units are the same for all owners; what refers to one is not: tests of their own.
SHARED = {"/Udr/Usage/ExceptionType/{number}"} | {
    f"/Usage/Bucket/BaseUnit/{{identity}}{more}" for more in ("", "/Detail", "/References")
}
# What a caller may write without naming an object in the path, and where a test of it is.
WRITING = {
    "/api/Import/{named}/Batch": "test_keys_of_one_owner_are_free_for_another",
    "/api/data/user{number}": "test_references_in_bodies_find_nothing_of_another_owner",
    "/api/data/user{number}lists": "test_references_in_bodies_find_nothing_of_another_owner",
    "/api/data/user{number}fields": "test_fields_of_another_owner_are_not_in_the_way",
    "/v2/subscriptions/imports": "test_a_file_of_subscriptions_finds_nothing_of_another_owner",
    "/UsageRatedExceptionSchedule/Reprocess": "test_a_reprocess_takes_no_exception_of_another_owner",
    "/GeoTree/Location/Pattern/PriceList": "test_a_price_list_finds_no_location_of_another_owner",
    "/Token": "tests/api/test_tokens.py",
}
LESS = """
ratemill: 1
dataProfiles:
  - name: plain
    format: csv
    fields: [{name: date}, {name: udrUsageIdentifier}, {name: value}, {name: usageClassName}]
udrFeeds: [{name: plain, dataProfileName: plain, batchWaitSeconds: 0}]
"""


@pytest.fixture(scope="module")
def other(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings, "stranger", LESS) as made:
        yield made


@pytest.fixture(scope="module")
def owned(other: Mill) -> Owned:
    return Owned(Mill(other.database, other.settings, "default", other.client))


@pytest.fixture(autouse=True)
def _nothing_of_the_owner_changes(owned: Owned) -> Iterator[None]:
    before = owned.digest()
    yield
    after = owned.digest()
    assert [table for table in before if before[table] != after[table]] == []


def path_of(route: Route, id_: str) -> str:
    """Return the path of a route with an id in it."""
    names = iter(re.findall(r"\{(\w+)[:}]", route.path))
    values = {"number": "1" if "user{number" in route.path else id_, "named": "User1s", "version": "1"}
    return re.sub(r"\{\w+(:\w+)?\}", lambda _: values.get(next(names), id_), route.path)


def ask(owned: Owned, caller: Mill, route: Route, method: str, id_: str) -> tuple[int, str]:
    """Return status and text of an answer, without what differs from call to call and the id that was sent."""
    media_type = "text/csv" if route.path.endswith("/PriceList") else "application/json"
    headers = {"Authorization": f"Bearer {caller.token}", "Content-Type": media_type}
    content = owned.body_of(route, method, id_)
    answer = caller.client.request(method, path_of(route, id_), content=content, headers=headers)
    return answer.status_code, normal(answer.text, id_)


def normal(text: str, id_: str) -> str:
    """Return an answer without what differs from call to call and the id that was sent."""
    return re.sub(rf"(?<![\w-]){re.escape(id_)}(?![\w-])", "ID", re.sub(r'"trackingId":"[^"]*"', "", text))


def nothing_like(id_: str) -> str:
    """Return an id of the same form that no object has."""
    if re.fullmatch(r"[0-9a-f-]{36}", id_):
        return NOBODY
    return NOTHING if id_.isdigit() else "ud_nothing" if id_.startswith("ud_") else "nothing"


def test_every_route_is_covered():
    """A new one is to be added to ``owned.py``, if it names something, else to ``WRITING`` with a test of its own."""
    searches = {f"/{each.path.rstrip('/')}/Search" for each in OBJECTS} | {"/Usage/Bucket/BaseUnit/Search"}
    created = {f"/{each.path.rstrip('/')}" for each in OBJECTS}
    created |= {f"/v2/subscriptions/{plural}" for plural in PLURALS}
    posts = {template(route) for route, method in LISTING if method != "GET"}
    assert posts - searches - created == set(WRITING)
    tests = {name for name in WRITING.values() if not name.startswith("tests/")}
    assert tests <= set(globals())


def test_what_another_owner_has_answers_as_what_does_not_exist(owned: Owned, other: Mill):
    wrong = []
    for route, method in NAMING:
        if template(route) in SHARED:
            continue
        for id_ in owned.ids_of(route):
            theirs, nothing = ask(owned, other, route, method, id_), ask(owned, other, route, method, nothing_like(id_))
            if theirs != nothing or theirs[0] != 404:
                wrong.append((method, route.path, id_, theirs, nothing))
    assert not wrong, "\n".join(map(str, wrong))


def test_the_owner_itself_finds_all_of_it(owned: Owned):
    """Or the ids above would prove nothing."""
    mine = owned.mine
    wrong = []
    for route, method in NAMING:
        if method == "GET" and template(route) not in SHARED:
            ids = owned.ids_of(route)
            for id_ in ids[:1] if template(route).endswith("/Record/Paged") else ids:  # usage alone has records
                status, text = ask(owned, mine, route, method, id_)
                if status != 200:
                    wrong.append((route.path, id_, status, text))
    assert not wrong, "\n".join(map(str, wrong))


def test_no_list_or_search_shows_anything_of_another_owner(owned: Owned, other: Mill):
    number, names = owned.mine.value("select owner_id from owners where name = %s", owned.mine.owner), owned.names()
    wrong, own = [], 0
    for route, method in LISTING:
        if method != "GET" and not route.path.endswith("/Search"):
            continue
        path = path_of(route, "1")
        answer = other.client.request(method, path, content=SEARCH if method == "POST" else None, headers=bearer(other))
        leaked = [name for name in names if f'"{name}"' in answer.text]
        if answer.status_code != 200 or leaked or f'"ownerId":{number},' in answer.text:
            wrong.append((method, route.path, answer.status_code, leaked, answer.text[:300]))
        shown = owned.mine.client.request(
            method, path, content=SEARCH if method == "POST" else None, headers=bearer(owned.mine)
        )
        own += any(f'"{name}"' in shown.text for name in names) or f'"ownerId":{number},' in shown.text
    assert not wrong, "\n".join(map(str, wrong))
    assert own > len(OBJECTS) * 4  # the owner itself sees them


def bearer(one: Mill) -> dict[str, str]:
    return {"Authorization": f"Bearer {one.token}", "Content-Type": "application/json"}


def test_kinds_count_the_exceptions_of_the_caller_alone(owned: Owned, other: Mill):
    def total(one: Mill) -> int:
        listed = one.request("GET", "/Udr/Usage/ExceptionType/").json()["items"]
        return sum(value for each in listed for name, value in each.items() if name.lower().endswith("count"))

    assert total(other) == 0
    assert total(owned.mine) > 0


def test_what_refers_to_a_base_unit_is_of_the_caller_alone(owned: Owned, other: Mill):
    path = "/Usage/Bucket/BaseUnit/1/References"
    found = [{each["identity"] for each in one.request("GET", path).json()["items"]} for one in (other, owned.mine)]
    assert found[0].isdisjoint(found[1])
    assert all(found)


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        ("/Udr/Charge/Paged", "trackingId importBatchId udrFeedName udrUsageIdentifier accountName usageClassName"),
        ("/Udr/Usage/Exception/Paged", "trackingId importBatchId udrFeedName"),
        ("/DataImport/History/Exception/Paged", "trackingId importBatchId udrFeedName"),
        ("/DataImport/History/Paged", "importBatchId udrFeedName"),
        ("/Setup/Change/Paged", "list"),
    ],
)
def test_filters_by_names_and_numbers_of_another_owner_find_nothing(owned: Owned, other: Mill, path: str, filters: str):
    values = {
        "trackingId": owned.tracking_id,
        "importBatchId": owned.ids["/DataImport/Batch/"][0],
        "udrFeedName": "Guide Feed",
        "udrUsageIdentifier": "648-688-4180",
        "accountName": "Acme",
        "usageClassName": "data_class",
        "list": "usageRates",
    }
    for name in filters.split():
        asked = {name: values[name]}
        found = [one.request("GET", path, params=asked).json()["pagedResults"]["items"] for one in (other, owned.mine)]
        assert found[0] == [], asked
        assert found[1], asked


@pytest.mark.parametrize(
    "each", [each for each in OBJECTS if each.list_name in SAMPLES], ids=lambda each: each.list_name
)
def test_references_of_the_set_up_find_nothing_of_another_owner(owned: Owned, other: Mill, each: Any):
    for member in each.references:
        target = BY_LIST[member.target]
        if not target.owned:
            continue
        theirs = int(owned.ids[f"/{target.path.rstrip('/')}/"][0])
        answers = []
        for id_ in (theirs, int(NOTHING)):
            value = [id_] if member.kind is MemberKind.REFERENCES else id_
            sample = {name: given for name, given in SAMPLES[each.list_name][0].items() if name != member.name}
            answer = other.request("POST", f"/{each.path}", content=json.dumps({**sample, member.id_name: value}))
            answers.append((answer.status_code, normal(answer.text, str(id_))))
        assert answers[0] == answers[1], (each.list_name, member.id_name)
        assert answers[0][0] == 400


def test_references_in_bodies_find_nothing_of_another_owner(owned: Owned, other: Mill):
    guid = owned.ids["/api/data/user{number}/"][0]
    answers = []
    for given in (guid, NOBODY):
        body = {"id": "x", "parentReference": {"guid": given}}
        answer = other.request("POST", "api/data/user1", content=json.dumps(body))
        answers.append((answer.status_code, answer.text.replace(given, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 400
    listed = other.request(
        "POST", "api/data/user1lists", content=json.dumps({"description": "x", "inclusions": [{"guid": guid}]})
    )
    assert "secret item" not in listed.text


def test_fields_of_another_owner_are_not_in_the_way(owned: Owned, other: Mill):
    body = {"name": "ud_declared", "type": "number"}
    assert other.request("POST", "api/data/user1fields", content=json.dumps(body)).status_code == 201
    assert other.request("DELETE", "api/data/user1fields/ud_declared").status_code == 200


def test_keys_of_one_owner_are_free_for_another(owned: Owned, other: Mill):
    sent = other.request(
        "POST", "/DataImport/Usage/plain", content='{"data": ["a,b,c,d"]}', headers={"Idempotency-Key": KEY}
    )
    assert (sent.status_code, "Idempotent-Replayed" in sent.headers) == (200, False)
    opening = json.dumps({"importFileName": "x", "pageSize": 1, "totalItems": 1})
    opened = other.request("POST", "api/Import/User1s/Batch", content=opening, headers={"Idempotency-Key": f"{KEY} 2"})
    assert opened.status_code == 201
    other.work()


def test_a_reprocess_takes_no_exception_of_another_owner(owned: Owned, other: Mill):
    for body in ({"all": True}, {"ids": [int(owned.ids["/Udr/Usage/Exception/"][0])]}):
        answer = other.request("POST", "/UsageRatedExceptionSchedule/Reprocess", content=json.dumps(body))
        assert answer.status_code == 200, answer.text
        counts = [value for name, value in instance_of(answer.json()).items() if name.endswith("Count")]
        assert not any(counts), answer.text


def instance_of(envelope: Json) -> Json:
    found: Json = envelope["results"]["items"][0]
    return found.get("instance", found)  # type: ignore[no-any-return]


def test_a_price_list_finds_no_location_of_another_owner(owned: Owned, other: Mill):
    answer = other.request(
        "POST", "/GeoTree/Location/Pattern/PriceList", content="name,geoTreeLocationName\n34,Spain\n",
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 400
    assert "Spain" in answer.text


def test_a_file_of_subscriptions_finds_nothing_of_another_owner(owned: Owned, other: Mill):
    plan = owned.ids["/v2/subscriptions/plans/"][0]
    for plural in PLURALS:
        theirs = owned.ids[f"/v2/subscriptions/{plural}/"][0]
        shown = other.request("GET", f"v2/subscriptions/{plural}", params={"filter": f'eq(id,"{theirs}")'})
        assert shown.json()["data"] == []
        answers = [
            other.request("POST", f"v2/subscriptions/{plural}", content=json.dumps({"data": {"plan_id": each}}))
            for each in (plan, NOBODY)
        ]
        assert answers[0].status_code == answers[1].status_code == 400
        assert answers[0].text.replace(plan, "ID") == answers[1].text.replace(NOBODY, "ID")


def test_an_import_to_another_owners_feed_by_any_name_is_refused(owned: Owned, other: Mill):
    for feed in owned.ids["/DataImport/Usage/"]:
        refused, unknown = (other.post_rows(guide_row(1), feed=each) for each in (feed, "nothing"))
        assert refused.status_code == unknown.status_code == 404
