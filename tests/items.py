"""Calls that read and change items of characteristics, their lists and fields, as the tests of these make them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from httpx import Response
from tests.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

Json = dict[str, Any]
ENVELOPE = ["result", "errors", "warnings", "hasErrors", "hasWarnings"]
NOBODY = "00000000-0000-4000-8000-000000000000"


@contextmanager
def item_mill(dsn: str, settings: Settings) -> Iterator[Mill]:
    """Yield a mill with the items that the seed's item names."""
    database = Database(dsn, settings)
    with mill(database, settings) as made:
        create(made, {"id": "idOfParent", "description": "Parent"})
        create(made, {"id": "exampleID"})
        yield made
    database.close()


def seed_item(cases: Path) -> Json:
    """Return the item of the golden case."""
    page = json.loads((cases / "characteristic_batches" / "page_request.json").read_text())
    item: Json = page["items"][0]
    return item


def call(mill: Mill, method: str, path: str, body: object = None, **options: Any) -> Response:
    """Call the face below /api/data/."""
    content = json.dumps(body) if body is not None else None
    return mill.request(method, f"api/data/{path}", content=content, **options)


def done(answer: Response, status: int = 200) -> Any:
    """Return the result of a call that must have been carried out."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ENVELOPE
    assert answer.json()["errors"] == []
    return answer.json()["result"]


def create(mill: Mill, item: Json, number: int = 1) -> Json:
    """Create an item and return it as it is answered."""
    made: Json = done(call(mill, "POST", f"user{number}", item), 201)
    return made


def refused(answer: Response, status: int) -> list[tuple[str, str]]:
    """Return code and property of every error."""
    assert answer.status_code == status, answer.text
    assert answer.json()["result"] is None
    assert answer.json()["hasErrors"] is True
    return [(each["code"], each["property"]) for each in answer.json()["errors"]]


def ids(answer: Response) -> list[str]:
    """Return the ids of a collection."""
    return [item["id"] for item in done(answer)["items"]]


def find(mill: Mill, id_: str) -> Json:
    """Return the one item of an id."""
    (item,) = done(call(mill, "GET", f"user1?$filter=id eq '{id_}'"))["items"]
    found: Json = item
    return found
