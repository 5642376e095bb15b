"""What steps make of a few characters is bounded before it is made, and the rows beside are mediated."""

import subprocess
import sys
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mediation.tables import ends, faults, mediated, short

from ratemill.mediation.bounds import joined_lengths, replaced_lengths, substituted_lengths
from ratemill.mediation.working import RowLimits

TEXTS = st.lists(st.none() | st.text("ab1 é-", max_size=12), max_size=6)
LIMITS = RowLimits(field_chars_max=100, record_chars_max=400)
PATTERNS = ["a", "[ab]", "(a)(b)?", "(?P<x>b)|(1+)", "x*", "^", "é", "(a|b|)", "."]
REPLACEMENTS = ["", "--", "$0$0", "${1}$2", "$x", "$$1", "$1x", "${x}-$x-$0", "$", "a$$$$", "${y}é"]


def series(texts: list[str | None]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String)


@given(TEXTS, st.sampled_from(PATTERNS), st.sampled_from(REPLACEMENTS))
def test_the_lengths_of_a_replacement_are_those_of_what_it_makes(texts, pattern, replacement):
    lengths = replaced_lengths(series(texts), pattern, replacement, -1, None)
    assert lengths is not None
    assert lengths.to_list() == series(texts).str.replace_all(pattern, replacement).str.len_chars().to_list()


@given(TEXTS, st.text("ab", min_size=1, max_size=2), st.text("ab", max_size=3))
def test_the_lengths_of_a_substitution_are_those_of_what_it_makes(texts, old, new):
    lengths = substituted_lengths(series(texts), old, new, -1, None)
    assert lengths is not None
    assert lengths.to_list() == series(texts).str.replace_all(old, new, literal=True).str.len_chars().to_list()


@given(st.lists(st.tuples(*[st.none() | st.text("aé", max_size=3)] * 3), min_size=1), st.sampled_from(["", "-", "::"]))
def test_the_lengths_of_texts_joined_are_those_of_what_is_made(rows, separator):
    table = pl.DataFrame([series([row[at] for row in rows]).alias(str(at)) for at in range(3)])
    joined = table.select(pl.concat_str(pl.all(), separator=separator, ignore_nulls=True)).to_series()
    lengths = joined_lengths(table.get_columns(), separator, -1)
    assert lengths is not None
    assert lengths.to_list() == joined.str.len_chars().fill_null(0).to_list()


def grown(*transforms: dict[str, Any], **members: Any) -> Any:
    return short({"name": "note", "transforms": list(transforms)}, delimiter="|", **members)


NOTE = [{"target": "note", "source": "note"}]
SUBSTITUTE = {"type": "substitute", "from": "x", "to": "y" * 11}
CONDITION = {"search": [{"name": "note", "operator": "startsWith", "value": "x"}]}
LONG = {
    "substitute": (grown(SUBSTITUTE, mappings=NOTE), "note", "100"),
    "substitute in steps": (
        grown(*[{"type": "substitute", "from": "x", "to": "xx"}] * 60, mappings=NOTE),
        "note",
        "100",
    ),
    "regex": (
        grown({"type": "regex", "pattern": "(x)", "replacement": "$1$1$1$1$0" * 3}, mappings=NOTE),
        "note",
        "100",
    ),
    "empty matches": (grown({"type": "regex", "pattern": "z*", "replacement": "y" * 11}, mappings=NOTE), "note", "100"),
    "conditional": (
        grown({"type": "conditional", "when": CONDITION, "then": [SUBSTITUTE], "else": []}, mappings=NOTE),
        "note",
        "100",
    ),
    "combine": (
        grown(mappings=[{"target": "all", "combine": {"sources": ["note"] * 11, "separator": "-"}}]),
        "all",
        "100",
    ),
    "map": (
        grown(mappings=[{"target": "all", "map": {"source": "note", "values": {"x" * 10: "y" * 101, "s": "s"}}}]),
        "all",
        "100",
    ),
    "map's default": (
        grown(mappings=[{"target": "all", "map": {"source": "note", "values": {"s": "s"}, "default": "y" * 101}}]),
        "all",
        "100",
    ),
    "many targets": (
        grown(mappings=[{"target": f"n{at}", "combine": {"sources": ["note"] * 9}} for at in range(10)]),
        None,
        "400",
    ),
}


@pytest.mark.parametrize(("profile", "field", "limit"), LONG.values(), ids=LONG)
def test_a_row_that_grows_over_the_limit_is_refused_and_its_neighbours_are_mediated(profile, field, limit):
    rows = [f"a|1|2022-05-01|voice|{note}" for note in ("s", "x" * 10, "s")]
    result = mediated(rows, profile, limits=LIMITS)
    assert ends(result) == {1: "usage", 2: "field_must_not_be_too_long", 3: "usage"}
    assert ("field_must_not_be_too_long", field, limit) in faults(result, 2)


@pytest.mark.parametrize(
    "members",
    [
        {"mappings": [{"target": "all", "literal": "y" * 101}]},
        {"mappings": NOTE, "default": "y" * 101},
    ],
)
def test_a_text_of_the_profile_that_is_too_long_refuses_the_rows_that_it_would_fill(members):
    default = {"default": members.pop("default")} if "default" in members else {}
    result = mediated(
        ["a|1|2022-05-01|voice|"], short({"name": "note", **default}, delimiter="|", **members), limits=LIMITS
    )
    assert ends(result) == {1: "field_must_not_be_too_long"}


def test_a_text_as_long_as_the_limit_is_kept():
    profile = grown({"type": "regex", "pattern": "(x)", "replacement": "$1$1$1$1$1$1$1$1$1$1"}, mappings=NOTE)
    result = mediated([f"a|1|2022-05-01|voice|{'x' * 10}"], profile, limits=LIMITS)
    assert result.usage["extension"][0] == '{"note":"' + "x" * 100 + '"}'


def test_a_row_that_the_filter_does_not_let_through_is_skipped_though_it_would_grow():
    skip = {"search": [{"name": "udrUsageIdentifier", "operator": "eq", "value": "b"}]}
    result = mediated([f"a|1|2022-05-01|voice|{'x' * 10}"], grown(SUBSTITUTE, filter=skip), limits=LIMITS)
    assert ends(result) == {1: "skipped"}


PROGRAM = """
import polars as pl
from tests.mediation.tables import CLASSES, ends, mediated, short
def memory():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024
steps = [{"type": "substitute", "from": "x", "to": "x" * 900}] * 3
steps += [{"type": "regex", "pattern": "(x)", "replacement": "$1" * 400}] * 3
targets = [{"target": f"n{at}", "combine": {"sources": ["note"] * 60}} for at in range(10)]
profile = short({"name": "note", "transforms": steps}, delimiter="|", mappings=targets)
mediated(["a|1|2022-05-01|voice|y"], profile)
before = memory()
result = mediated([f"a|1|2022-05-01|voice|{note}" for note in ("xxxxxxxxxx", "y") * 100], profile)
assert [*ends(result).values()] == ["field_must_not_be_too_long", "usage"] * 100
print(memory() - before)
"""


def test_ten_characters_that_would_become_a_gigabyte_take_little_memory():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200
