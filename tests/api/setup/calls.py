"""Calls that write set-up objects, and what their answers must be."""

from __future__ import annotations

import json
from typing import Any

from httpx import Response
from tests.fixtures.mill import Mill

Json = dict[str, Any]


def send(mill: Mill, method: str, path: str, body: Json | str | None = None, **options: Any) -> Response:
    content = body if isinstance(body, str) or body is None else json.dumps(body)
    return mill.request(method, f"/{path}", content=content, **options)


def done(answer: Response, kind: str) -> list[Json]:
    """Return the items of a write that succeeded."""
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["trackingId", "type", "results"]
    assert answer.json()["type"] == kind
    results = answer.json()["results"]
    assert results["totalCount"] == len(results["items"])
    items: list[Json] = results["items"]
    return items


def make(mill: Mill, path: str, **members: Any) -> Json:
    (item,) = done(send(mill, "POST", path, members), "create")
    return item


def refused(answer: Response, status: int = 400) -> list[Json]:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"trackingId", "type", "errors"}
    errors: list[Json] = answer.json()["errors"]
    assert errors
    return errors


def identity_of(mill: Mill, table: str, key: str, name: str = "name", *, value: str) -> int:
    statement = (
        f"select {table}.{key} from {table} join owners o using (owner_id) where {table}.{name} = %s and o.name = %s"
    )
    return int(mill.value(statement, value, mill.owner))
