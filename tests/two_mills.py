"""Two owners with the same names on one database: whatever one reads, nothing of the other's may show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from httpx import Response
from tests.mill import Mill, guide_row, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

# One row of every end, by row: rated, refused, duplicate of row 1, rating exception, refused, skipped, rated.
EVERY_END = (
    guide_row(1),
    guide_row(2, date="soon", value="ninety"),
    guide_row(1),
    guide_row(4, identifier="nobody-1"),
    "a,b",
    guide_row(6, originating="test"),
    guide_row(7, value="10.50"),
)
STATES = ["Rated", "ImportException", "Duplicate", "RatingException", "ImportException", "Skipped", "Rated"]
FILTERED = """
ratemill: 1
dataProfiles:
  - name: guide_csv
    filter: {search: [{name: OriginatingIdentifier, operator: notEq, value: test}]}
"""


@contextmanager
def two_mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    """Yield two owners' mills, set up alike."""
    with mill(database, settings, "default") as mine, mill(database, settings, "other") as others:
        mine.apply(FILTERED)
        others.apply(FILTERED)
        yield mine, others


def post(mine: Mill, *rows: str) -> str:
    """Post rows and have them worked off; return the request's tracking id."""
    answer = mine.post_rows(*rows)
    assert answer.status_code == 200, answer.text
    mine.work()
    return str(answer.json()["trackingId"])


def get(mine: Mill, path: str, **options: Any) -> Response:
    """Read with a token of the right to read."""
    return mine.request("GET", path, **options)


def instance(mine: Mill, path: str) -> dict[str, Any]:
    """Return the one object that a call gives."""
    answer = get(mine, path)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["trackingId", "instance"]
    found: dict[str, Any] = answer.json()["instance"]
    return found


def items(mine: Mill, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the items of the page that a call gives; its total must be theirs."""
    answer = get(mine, path, params=parameters)
    assert answer.status_code == 200, answer.text
    results = answer.json()["pagedResults"]
    found: list[dict[str, Any]] = results["items"]
    assert results.get("totalCount", len(found)) >= len(found)
    return found
