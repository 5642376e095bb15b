"""The owner in a document: a name, or a mapping of what of it is not at its default."""

from __future__ import annotations

import pytest
from tests.setup.rows import rows_of

from ratemill.setup.reading.export import export_document
from ratemill.setup.writing.apply import ApplyResult, apply_document
from ratemill.store.connections import Database

PLAN = """usageRateGroups: [{name: G, currencyName: USD}]
usageRatePlans: [{name: P, usageRateGroupNames: [G]}]
"""


def apply(database: Database, text: str, *, dry_run: bool = False) -> ApplyResult:
    return apply_document(database, f"ratemill: 1\n{text}", None, dry_run=dry_run, create_owner=True, created_by="test")


def first_lines(database: Database, owner: str) -> list[str]:
    return export_document(database, owner).splitlines()[:2]


def test_an_owner_at_its_defaults_is_exported_as_its_name(database: Database):
    assert apply(database, "owner: {name: plain}\n").errors == []
    assert first_lines(database, "plain") == ["ratemill: 1", "owner: plain"]


def test_what_differs_is_exported_and_makes_another_owner_the_same(database: Database):
    given = "owner: {name: one, amountPrecision: 4, roundingMethodTypeName: half_even, usageRatePlanName: P}"
    applied = apply(database, f"{given}\n{PLAN}")
    assert (applied.errors, applied.count("created"), applied.count("updated")) == ([], 2, 1)
    exported = export_document(database, "one")
    assert exported.splitlines()[1] == given
    again = apply(database, exported.removeprefix("ratemill: 1\n"))
    assert (again.errors, again.count("unchanged"), again.version) == ([], 3, None)
    assert apply(database, exported.removeprefix("ratemill: 1\n").replace("name: one", "name: two")).errors == []
    assert export_document(database, "two") == exported.replace("name: one", "name: two")


def test_a_document_that_names_the_owner_alone_leaves_it_as_it_is(database: Database):
    apply(database, "owner: {name: kept, amountPrecision: 3}\n")
    for whose in ("owner: kept\n", "owner: {name: kept}\n"):
        assert apply(database, whose).errors == []
        assert first_lines(database, "kept")[1] == "owner: {name: kept, amountPrecision: 3}"
    assert apply(database, "owner: {name: kept, amountPrecision: null}\n").count("updated") == 1
    assert first_lines(database, "kept")[1] == "owner: kept"


def test_without_a_name_it_is_the_default_owner(database: Database):
    assert apply(database, "owner: {amountPrecision: 5}\n").owner == "default"
    assert first_lines(database, "default")[1] == "owner: {name: default, amountPrecision: 5}"
    apply(database, "owner: {amountPrecision: null}\n")


@pytest.mark.parametrize("owner", ["kept", "still unmade"])
def test_a_dry_run_says_the_same_of_the_owner(database: Database, owner: str):
    text = f"owner: {{name: {owner}, amountPrecision: 7, usageRatePlanName: P}}\n{PLAN}"
    before = rows_of(database)
    dry = apply(database, text, dry_run=True)
    assert rows_of(database) == before
    wet = apply(database, text)
    assert dry.errors == wet.errors == []
    assert [(each.list, each.key, each.action) for each in dry.items] == [
        (each.list, each.key, each.action) for each in wet.items
    ]
    assert ("owners", owner, "updated") in [(each.list, each.key, each.action) for each in wet.items]


def test_every_fault_of_an_owner_is_told_with_its_place(database: Database):
    text = """owner:
  name: [no name]
  amountPrecision: 99
  colour: red
  usageRatePlanName: nowhere
"""
    found = {each.path: each.line for each in apply(database, text).errors}
    assert found == {"owner.name": 3, "owner.amountPrecision": 4, "owner.colour": 5, "owner.usageRatePlanName": 6}


def test_a_change_of_the_owner_is_logged(database: Database):
    apply(database, "owner: {name: logged, roundingMethodTypeName: down}\n")
    with database.worker() as connection:
        rows = connection.exec_driver_sql(
            "select action, before ->> 'roundingMethodTypeName', after ->> 'roundingMethodTypeName'"
            " from setup_changes where list = 'owners' and key_words = 'logged'"
        ).all()
    assert [tuple(row) for row in rows] == [("updated", "half_up", "down")]
