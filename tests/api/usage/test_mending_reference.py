"""The page on mending names every member, operator and limit that the code has."""

from pathlib import Path

import pytest

from ratemill.api.usage.mending import NOTE_CHARS_MAX
from ratemill.api.usage.reprocess_body import MEMBERS
from ratemill.characteristics import NAMES
from ratemill.comparisons import JSON_OPERATORS, TERMS_MAX, VALUES_MAX
from ratemill.ledger.reprocess import IDS_MAX
from ratemill.store.charges import reprocesses

PAGE = (Path(__file__).parents[3] / "docs/reference/mending.md").read_text()


@pytest.mark.parametrize("word", [*(name for name in MEMBERS if name not in NAMES[1:-1]), *JSON_OPERATORS])
def test_members_and_operators_are_named(word: str):
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("limit", [NOTE_CHARS_MAX, IDS_MAX, TERMS_MAX, VALUES_MAX])
def test_limits_are_told(limit: int):
    assert f"{limit:,}" in PAGE


def test_every_member_that_may_be_compared_has_a_name_on_the_wire():
    assert set(MEMBERS.values()) == set(reprocesses.MEMBERS)
