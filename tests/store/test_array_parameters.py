"""Lists as parameters: what is sent is what arrives."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.seeded import new_id

from ratemill.errors import UnstorableData
from ratemill.store.connections import Database, driver

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
AWKWARD = ["", "null", "NULL", " a ", '"', "\\", "{", "}", ",", "a,b", "\n\t", "é\u2028\u3000", "'"]


def returned(database: Database, kind: str, values: list[object]) -> list[object]:
    with database.worker() as connection:
        row = driver(connection).execute(f"select %s::{kind}[]", (values,)).fetchone()
    assert row
    return list(row[0])


@settings(deadline=None)
@given(st.lists(st.none() | TEXT | st.sampled_from(AWKWARD)))
def test_texts(database: Database, values: list[object]):
    assert returned(database, "text", values) == values


@pytest.mark.parametrize(
    "values", [[], [None], [1, None, -(2**63)], [2**63 - 1], [0, 40_000, 3_000_000_000], list(range(10_000))]
)
def test_whole_numbers(database: Database, values: list[object]):
    assert returned(database, "bigint", values) == values


def test_uuids(database: Database):
    values: list[object] = [new_id(), None, UUID(int=0)]
    assert returned(database, "uuid", values) == values


def test_other_lists_are_left_to_the_driver(database: Database):
    assert returned(database, "boolean", [True, None, False]) == [True, None, False]
    assert returned(database, "text", [["a", "b"], ["c", None]]) == [["a", "b"], ["c", None]]
    with pytest.raises(UnstorableData, match="mixed types"):
        returned(database, "text", ["a", 1])


def test_a_text_that_the_database_cannot_hold_is_an_error(database: Database):
    with pytest.raises(UnstorableData, match="NUL"):
        returned(database, "text", ["a\0b"])
