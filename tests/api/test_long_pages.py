"""A page of long records ends at its bytes, and `next` goes on: each record comes once, over HTTP and from commands."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row, mill
from typer.testing import CliRunner

from ratemill import logs
from ratemill.cli.app import app
from ratemill.settings import Settings
from ratemill.store.connections import Database

PAGE_BYTES, TEXT_CHARS = 30_000, 2_000
ENVELOPE_BYTES = 500  # of an answer, besides its items
CHARGES, EXCEPTIONS, REFUSED = "/Udr/Charge/Paged", "/Udr/Usage/Exception/Paged", "/DataImport/History/Exception/Paged"
RATED = 70


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    small = settings.model_copy(update={"page_bytes_max": PAGE_BYTES})
    with mill(database, small) as made:
        yield made


@pytest.fixture(scope="module")
def request_id(mine: Mill) -> str:
    """A request with long records of three ends, and one that is longer than a page may be."""
    rows = [
        *(guide_row(at, originating=f"{at:05}" + "é" * (TEXT_CHARS // 2)) for at in range(RATED)),
        *(guide_row(at, identifier="nobody's", originating="b" * TEXT_CHARS) for at in range(100, 130)),
        *(guide_row(at, value="much", originating="c" * TEXT_CHARS) for at in range(200, 230)),
        guide_row(300, originating="d" * 2 * PAGE_BYTES),
        guide_row(301),
    ]
    answer = mine.post_rows(*rows)
    assert answer.status_code == 200, answer.text
    mine.work()
    return str(answer.json()["trackingId"])


def read(mine: Mill, path: str, **parameters: Any) -> dict[str, Any]:
    answer = mine.request("GET", path, params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    items = found["pagedResults"]["items"]
    assert len(items) == 1 or len(answer.content) <= PAGE_BYTES + ENVELOPE_BYTES
    return found


def walked(mine: Mill, path: str, size: int) -> tuple[list[Any], int]:
    """Return the items of a list, gone through as the reference says, and how often a page was cut."""
    items, cuts, number, offset = [], 0, 1, 0
    while True:
        found = read(mine, path, pageNumber=number, pageSize=size, pageOffset=offset)
        items += found["pagedResults"]["items"]
        following = found["pagination"].get("next")
        cuts += following is not None
        if following is None and number * size >= found["pagedResults"]["totalCount"]:
            return items, cuts
        number, offset = (number, following) if following is not None else (number + 1, 0)


@pytest.mark.parametrize("size", [7, 20, 50, 1_000])
@pytest.mark.parametrize("path", [CHARGES, EXCEPTIONS, REFUSED, "records"])
def test_each_record_comes_once(mine: Mill, request_id: str, path: str, size: int):
    asked = f"/DataImport/History/{request_id}/Record/Paged" if path == "records" else path
    expected = {
        CHARGES: [*range(1, RATED + 1), 131, 132],
        EXCEPTIONS: list(range(71, 101)),
        REFUSED: list(range(101, 131)),
        "records": list(range(1, 133)),
    }[path]
    items, cuts = walked(mine, asked, size)
    assert [each["originatingFileRecordIndex"] for each in items] == expected
    assert cuts > 0 or size == 7


def test_a_filter_is_kept(mine: Mill, request_id: str):
    found = read(mine, CHARGES, pageSize=100, trackingId=request_id)
    offset = found["pagination"]["next"]
    assert offset == len(found["pagedResults"]["items"])
    more = read(mine, CHARGES, pageSize=100, trackingId=request_id, pageOffset=offset)
    assert more["pagedResults"]["items"][0]["originatingFileRecordIndex"] == offset + 1
    mine_only = read(mine, CHARGES, pageSize=100, accountName="Acme", pageOffset=offset)
    assert mine_only["pagedResults"]["items"] == more["pagedResults"]["items"]


def test_a_usual_page_has_no_next(mine: Mill, request_id: str):
    found = read(mine, CHARGES, pageSize=2, trackingId=request_id)
    assert found["pagination"] == {"pageNumber": 1, "pageSize": 2, "excludeTotalCount": False}


def test_an_offset_lies_within_the_page(mine: Mill):
    answer = mine.request("GET", CHARGES, params={"pageSize": 10, "pageOffset": 10})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "pageOffset"
    assert "less than pageSize, 10, not 10" in answer.json()["errors"][0]["message"]


def test_changes_and_searches_end_at_their_bytes(mine: Mill):
    mine.apply(
        "ratemill: 1\nusageClasses:\n"
        + "".join(f"  - {{name: c{at:03}, usageBaseUnitName: Data}}\n" for at in range(400))
    )
    for path in ("/Usage/Class/Paged", "/Setup/Change/Paged"):
        items, cuts = walked(mine, path, 300)
        names = [each["identity"] for each in items]
        assert len(names) == len(set(names)) > 400
        assert cuts > 0


def test_commands_go_on(mine: Mill, request_id: str, dsn: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setenv("RATEMILL_PAGE_BYTES_MAX", str(PAGE_BYTES))
    monkeypatch.setattr(logs, "configure", lambda **_: None)
    for command in (["charges"], ["exceptions"], ["exceptions", "--import"]):
        rows: list[int] = []
        while True:
            arguments = [*command, "--tracking-id", request_id, "--page-offset", str(len(rows)), "--json"]
            shown = CliRunner().invoke(app, arguments)
            assert shown.exit_code == 0, shown.output
            rows += [each["originatingFileRecordIndex"] for each in json.loads(shown.stdout)]
            if f"--page-offset {len(rows)} with the same page goes on" not in shown.stderr:
                break
        assert len(rows) == len(set(rows)) >= 30
