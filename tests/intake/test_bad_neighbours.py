"""A row that no worker should follow, next to healthy ones in one request: they are charged, and its message helps."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures.mill import Mill, mill

from ratemill.nesting import NESTING_MAX
from ratemill.settings import Settings
from ratemill.store.connections import Database

SALES = """
ratemill: 1
dataProfiles:
  - name: sales
    format: json
    duplicateKey: []
    fields:
      - {name: date}
      - {name: udrUsageIdentifier}
      - {name: value}
      - {name: usageClassName}
      - {name: note}
      - name: grown
        transforms: [TRANSFORMS]
    mappings: [{target: extension.note, source: note}, {target: extension.grown, source: grown}]
udrFeeds: [{name: Sales, apiName: sales, dataProfileName: sales, batchWaitSeconds: 0}]
""".replace("TRANSFORMS", ", ".join(["{type: substitute, from: x, to: xx}"] * 40))
SALE = {"date": "2022-05-01", "udrUsageIdentifier": "648-688-4180", "value": "1", "usageClassName": "data_class"}
DEPTH = 200
CHARS = 100_000


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD = {
    "grows": ({"grown": "x"}, 1110, "field grown", "65536 characters"),
    "nested": ({"note": nested(DEPTH)}, 1111, "Row 2", f"{NESTING_MAX} levels"),
    "long": ({"note": "y" * CHARS}, 1110, "field note", "65536 characters"),
}


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply(SALES)
        yield made


@pytest.mark.parametrize(("members", "reason", "place", "bound"), BAD.values(), ids=BAD)
def test_a_row_beyond_a_bound_is_refused_with_its_remedy_and_its_neighbours_are_charged(
    guide: Mill, members: dict[str, Any], reason: int, place: str, bound: str
):
    answer = guide.post_rows(*[json.dumps(row) for row in (SALE, {**SALE, **members}, SALE)], feed="sales")
    assert answer.status_code == 200, answer.text
    guide.work()
    tracking_id = answer.json()["trackingId"]
    submission = guide.value("select submission_id from submissions where request_tracking_id = %s", tracking_id)
    charged = guide.rows("select row_index from charges where submission_id = %s order by row_index", submission)
    assert charged == [(1,), (3,)]
    refused = guide.rows("select row_index, reason_id from import_exceptions where submission_id = %s", submission)
    assert refused == [(2, reason)]

    listed = guide.request("GET", "/DataImport/History/Exception/Paged", params={"trackingId": tracking_id})
    message = listed.json()["pagedResults"]["items"][0]["message"]
    assert message.startswith("Row 2")
    assert place in message
    assert bound in message
    assert "resubmit the row" in message
    guide.assert_ties()


@pytest.mark.parametrize("members", [{"grown": "x"}, {"note": "y" * CHARS}], ids=["grows", "long"])
def test_objects_beyond_a_bound_are_refused_next_to_healthy_ones(guide: Mill, members: dict[str, Any]):
    body = json.dumps({"data": [SALE, {**SALE, **members}, SALE]})
    answer = guide.request("POST", "/DataImport/Usage/Json/Multi/sales", content=body)
    assert answer.status_code == 200, answer.text
    guide.work()
    submission = guide.value("select max(submission_id) from submissions")
    charged = guide.rows("select row_index from charges where submission_id = %s order by row_index", submission)
    assert charged == [(1,), (3,)]


@pytest.mark.parametrize("levels", [NESTING_MAX - 2, NESTING_MAX, NESTING_MAX + 1, 950, 2_000, 100_000])
def test_an_object_that_nests_too_deeply_is_refused_alone(guide: Mill, levels: int):
    sale = json.dumps(SALE)
    deep = '{"note":' + '{"data":' * (levels - 1) + "1" + "}" * (levels - 1) + f",{sale[1:]}"
    tricky = json.dumps({**SALE, "note": "]}"})
    body = f'{{"data":[{sale},{deep},{tricky}]}}'
    answer = guide.request("POST", "/DataImport/Usage/Json/Multi/sales", content=body)
    assert answer.status_code == 200, answer.text
    guide.work()
    submission = guide.value("select max(submission_id) from submissions")
    charged = guide.rows("select row_index from charges where submission_id = %s order by row_index", submission)
    refused = guide.rows("select row_index, reason_id, raw from import_exceptions where submission_id = %s", submission)
    if levels <= NESTING_MAX:
        assert (charged, refused) == ([(1,), (2,), (3,)], [])
    else:
        assert (charged, refused) == ([(1,), (3,)], [(2, 1111, deep)])
    guide.assert_ties()


@pytest.mark.parametrize(
    "body",
    [
        '{"data":[{"a":1}],"other":' + "[" * 101 + "]" * 101 + "}",
        '{"data":[{"a":1},' + "[" * 101 + "]" * 101 + "]}",
        '{"data":[{"a":1},' + '{"a":' * 101 + "1" + "}" * 100 + "]}",
        '{"data":[{"a":1}],"data":[' + '{"a":' * 101 + "1" + "}" * 101 + "]}",
    ],
    ids=["another member", "a list", "not closed", "data twice"],
)
def test_a_body_that_nests_too_deeply_elsewhere_is_rejected_whole(guide: Mill, body: str):
    before = guide.value("select count(*) from submissions")
    assert guide.request("POST", "/DataImport/Usage/Json/Multi/sales", content=body).status_code == 400
    assert guide.value("select count(*) from submissions") == before
