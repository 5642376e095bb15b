"""Calls of the dialect of batches, as the tests of its batches, pages and submits make them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from httpx import Response
from tests.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

ENVELOPE = ["result", "errors", "warnings", "hasErrors", "hasWarnings"]
BATCH = "api/Import/UserXs/Batch"
OPENING = {"importFileName": "a file", "pageSize": 2, "totalItems": 4}


@contextmanager
def small_mill(database: Database, settings: Settings) -> Iterator[Mill]:
    """Yield a mill with small limits."""
    small = settings.model_copy(
        update={
            "characteristic_page_items_max": 100,
            "characteristic_batch_items_max": 1_000,
            "body_bytes_max": 100_000,
        }
    )
    with mill(database, small) as made:
        yield made


def call(mine: Mill, method: str, path: str, body: Any = None, **options: Any) -> Response:
    """Call the face; whatever it answers has the envelope."""
    if body is not None:
        options["content"] = body if isinstance(body, str | bytes) else json.dumps(body)
        options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
    answer = mine.request(method, path, **options)
    assert list(answer.json()) == ENVELOPE, answer.text
    told = answer.json()
    assert told["hasErrors"] == bool(told["errors"]) == (answer.status_code >= 400)
    assert told["hasWarnings"] == bool(told["warnings"])
    assert (told["result"] is None) == (answer.status_code >= 400)
    for each in told["errors"] + told["warnings"]:
        assert list(each) == ["code", "message", "property"]
        assert each["code"]
        assert each["message"]
    return answer


def opened(mine: Mill, path: str = BATCH, **members: Any) -> int:
    """Open a batch; return its number."""
    answer = call(mine, "POST", path, {**OPENING, **members})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["result"]["batchId"])


def page(number: int, *ids: str) -> dict[str, Any]:
    """Return a page of items that have an id alone."""
    return {"pageNumber": number, "items": [{"id": each} for each in ids]}


def codes(answer: Response) -> list[tuple[str, str]]:
    """Return code and property of every error."""
    return [(each["code"], each["property"]) for each in answer.json()["errors"]]


def warned(answer: Response) -> list[tuple[str, str]]:
    """Return code and property of every warning."""
    return [(each["code"], each["property"]) for each in answer.json()["warnings"]]


def state(mine: Mill, batch_id: int) -> str:
    """Return the state of a batch as it is kept."""
    return str(mine.value("select state from characteristic_batches where batch_id = %s", batch_id))
