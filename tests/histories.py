"""Import History, as the tests of what it shows read it."""

from __future__ import annotations

from typing import Any

from tests.mill import Mill


def histories(mine: Mill, **filters: str) -> list[dict[str, Any]]:
    """Return the histories that the filters find; the first sum ties in each."""
    answer = mine.request("GET", "/DataImport/History/Paged", params=filters)
    assert answer.status_code == 200, answer.text
    shown = answer.json()["pagedResults"]
    assert shown["totalCount"] == len(shown["items"])
    for each in shown["items"]:
        parts = ("importCount", "importExceptionCount", "importSkipRecordCount", "importDuplicateCount")
        assert each["recordCount"] == sum(each[name] for name in (*parts, "importWaitingCount"))
    found: list[dict[str, Any]] = shown["items"]
    return found


def history(mine: Mill, key: object) -> dict[str, Any]:
    """Return the history of that identity or tracking id."""
    answer = mine.request("GET", f"/DataImport/History/{key}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["instance"]
    return found


def counted(shown: dict[str, Any]) -> tuple[int, ...]:
    """Return received, imported, refused, skipped and waiting."""
    names = ("recordCount", "importCount", "importExceptionCount", "importSkipRecordCount", "importWaitingCount")
    return tuple(shown[name] for name in names)
