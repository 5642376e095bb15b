"""The printed example, applied."""

from pathlib import Path

from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database

EXAMPLE = Path(__file__).parent / "example.yaml"


def test_the_example_is_applied_and_a_second_time_changes_nothing(database: Database):
    text = EXAMPLE.read_text()
    dry = apply_document(database, text, None, dry_run=True, created_by="test")
    first = apply_document(database, text, None, created_by="test")
    second = apply_document(database, text, None, created_by="test")
    assert [dry.errors, first.errors, second.errors] == [[], [], []]
    assert [dry.count("created"), first.count("created"), second.count("unchanged")] == [10, 10, 10]
    assert [(each.list, each.key) for each in dry.items] == [(each.list, each.key) for each in first.items]
    assert first.version == 2
    assert second.version is None
