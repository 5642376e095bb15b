"""The log of changes: complete, as the wire shows it, and nobody's to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.setup.calls import Json, done, make, refused, send
from tests.fixtures.mill import Mill

from ratemill.errors import StatementDefect
from ratemill.setup.objects.registry import OBJECTS
from ratemill.store.connections import driver


def changes(mill: Mill, **filters: Any) -> list[Json]:
    answer = mill.request("GET", "/Setup/Change/Paged", params=filters)
    assert answer.status_code == 200, answer.text
    items: list[Json] = answer.json()["pagedResults"]["items"]
    return items


def test_every_change_is_in_the_log_with_before_and_after(mine: Mill, others: Mill):
    made = make(mine, "Usage/ClassType", name="logged")
    path = f"Usage/ClassType/{made['identity']}"
    done(send(mine, "PUT", path, {"sortOrder": 9}), "update")
    mine.apply("ratemill: 1\nusageClassTypes: [{name: logged, sortOrder: 10}]")
    done(send(mine, "DELETE", path), "delete")
    asked = {"list": "usageClassTypes", "objectIdentity": made["identity"]}
    told = [
        (c["action"], c["via"], c["by"], (c["before"] or {}).get("sortOrder"), (c["after"] or {}).get("sortOrder"))
        for c in changes(mine, **asked)
    ]
    assert told == [
        ("deleted", "http", "tester", 10, None),
        ("updated", "document", "tester", 9, 10),
        ("updated", "http", "tester", 1, 9),
        ("created", "http", "tester", None, 1),
    ]
    newest = changes(mine, **asked, action="deleted")[0]
    assert newest["key"] == "logged"
    one = mine.request("GET", f"/Setup/Change/{newest['identity']}").json()
    assert one["instance"] == newest
    (_, newer, *_) = changes(mine, **asked)
    assert newer["after"] == newest["before"]
    assert newer["after"] == made["instance"] | {"sortOrder": 10}
    assert changes(others, **asked) == []
    refused(others.request("GET", f"/Setup/Change/{newest['identity']}"), 404)
    assert changes(mine, **asked, to="2020-01-01") == []


@pytest.mark.parametrize(
    "statement",
    ["update setup_changes set action = 'x'", "delete from setup_changes", "truncate setup_changes"],
)
def test_no_role_of_the_product_changes_the_log(mine: Mill, statement: str):
    with pytest.raises(StatementDefect, match="permission denied"), mine.database.face(1) as connection:
        driver(connection).execute(statement)
    with pytest.raises(StatementDefect, match="permission denied"), mine.database.worker() as connection:
        driver(connection).execute(statement)


def test_the_log_has_each_object_as_it_is_shown(mine: Mill):
    text = (Path(__file__).parents[2] / "setup" / "full.yaml").read_text()
    mine.apply(text.replace("owner: full\n", ""))
    for each in OBJECTS:
        newest = {
            change["objectIdentity"]: change for change in reversed(changes(mine, list=each.list_name, pageSize=10_000))
        }
        for identity, change in newest.items():
            if change["action"] != "deleted":
                shown = mine.request("GET", f"/{each.path}{identity}").json()["instance"]
                assert change["after"] == shown, each.list_name
