"""The texts of a table outgrow its rows by a bound at most: what would make more is counted first, and nothing is made."""

from typing import Any

import polars as pl
import pytest
from tests.mediation.tables import CLASSES, raw, short

from ratemill.errors import TableTooLarge
from ratemill.mediation.growth import Growth
from ratemill.mediation.mediate import MediationResult, begin, mediate
from ratemill.mediation.working import RowLimits

ROWS = 40
LIMITS = RowLimits(growth_bytes_max=20_000)  # 500 bytes a row
LONG = "y" * 1_000
NOTE = [{"target": "note", "source": "note"}]
WHEN = {"search": [{"name": "note", "operator": "startsWith", "value": "x"}]}
TO_LONG = {"type": "substitute", "from": "x", "to": LONG}


def grown(*transforms: dict[str, Any], **members: Any) -> Any:
    return short({"name": "note", "transforms": list(transforms)}, delimiter="|", **members)


GROWING = {
    "substitute": grown(TO_LONG, mappings=NOTE),
    "in steps": grown(*[{"type": "substitute", "from": "x", "to": "xx"}] * 10, mappings=NOTE),
    "regex": grown({"type": "regex", "pattern": "(x)", "replacement": LONG}, mappings=NOTE),
    "groups": grown({"type": "regex", "pattern": "(x)", "replacement": "$1" * 1_000}, mappings=NOTE),
    "characters of four bytes": grown({"type": "substitute", "from": "x", "to": "\U0001f4de" * 150}, mappings=NOTE),
    "conditional": grown({"type": "conditional", "when": WHEN, "then": [TO_LONG], "else": []}, mappings=NOTE),
    "default": short({"name": "note"}, {"name": "other", "default": LONG}, delimiter="|", mappings=NOTE),
    "literal": grown(mappings=[{"target": "all", "literal": LONG}]),
    "literals": grown(mappings=[{"target": f"n{at}", "literal": "y" * 100} for at in range(10)]),
    "combine": grown(mappings=[{"target": "all", "combine": {"sources": ["note"] * 11, "separator": "-" * 100}}]),
    "map": grown(mappings=[{"target": "all", "map": {"source": "note", "values": {"x": LONG}}}]),
    "default of a map": grown(
        mappings=[{"target": "all", "map": {"source": "note", "values": {"s": "s"}, "default": LONG}}]
    ),
    "one field for many targets": grown(
        {"type": "substitute", "from": "x", "to": "y" * 400},
        mappings=[{"target": f"n{at}", "source": "note"} for at in range(3)],
    ),
}


def rows(profile: Any, count: int = ROWS) -> pl.DataFrame:
    end = "|x|" if "other" in profile.names else "|x"
    return raw([f"a|{at}|2022-05-01|voice{end}" for at in range(count)])


def halves(table: pl.DataFrame, profile: Any) -> list[MediationResult]:
    """Mediate a table, divided as often as its bound demands."""
    try:
        return [mediate(table, profile, usage_classes=CLASSES, limits=LIMITS)]
    except TableTooLarge:
        half = table.height // 2
        return [*halves(table.head(half), profile), *halves(table.tail(-half), profile)]


@pytest.mark.parametrize("profile", GROWING.values(), ids=GROWING)
def test_a_table_that_would_grow_too_much_is_divided_and_gives_the_same_records(profile):
    with pytest.raises(TableTooLarge) as raised:
        begin(rows(profile), profile, limits=LIMITS)
    assert raised.value.rows == ROWS
    parts = halves(rows(profile), profile)
    whole = mediate(rows(profile), profile, usage_classes=CLASSES)
    assert len(parts) > 1
    assert whole.usage.height == ROWS
    assert pl.concat([part.usage for part in parts]).equals(whole.usage)
    assert pl.concat([part.keys for part in parts]).equals(whole.keys)


@pytest.mark.parametrize("profile", GROWING.values(), ids=GROWING)
def test_a_single_row_is_never_too_large(profile):
    found = mediate(rows(profile, 1), profile, usage_classes=CLASSES, limits=RowLimits(growth_bytes_max=1))
    assert found.usage.height == 1


def test_a_request_that_is_taken_whole_is_not_divided_and_a_table_of_two_is():
    profile = grown(TO_LONG, mappings=NOTE, envelope="request")
    assert begin(rows(profile), profile, limits=LIMITS).mapped.height == ROWS
    texts = [f"a|{at}|2022-05-01|voice|x" for at in range(ROWS)]
    with pytest.raises(TableTooLarge):
        begin(raw(texts, submission_rows=ROWS // 2), profile, limits=LIMITS)


def test_texts_that_shrink_and_grow_again_count_once():
    steps = [
        {"type": "substitute", "from": "x", "to": "y" * 400},
        {"type": "regex", "pattern": "y+", "replacement": "x"},
    ]
    assert begin(rows(grown()), grown(*steps * 5, mappings=NOTE), limits=LIMITS).mapped.height == ROWS


def test_long_rows_that_do_not_grow_are_not_divided():
    texts = [f"a|{at}|2022-05-01|voice|{LONG}" for at in range(ROWS)]
    assert begin(raw(texts), grown({"type": "trim"}, mappings=NOTE), limits=LIMITS).mapped.height == ROWS


def test_the_message_has_what_the_rows_would_gain_and_the_bound():
    with pytest.raises(
        TableTooLarge, match=r"^40 rows of 800 bytes would gain 900 bytes of text, at most 500 in one table"
    ):
        Growth(40, 800, 500).add_fields(900)
