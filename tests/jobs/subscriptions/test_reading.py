"""Tables of an import: each is the same whether it was read ahead or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.fixtures.mill import Mill

from ratemill.jobs.subscriptions.imports import LineReader, LineTable
from ratemill.store.connections import Connection
from ratemill.store.subscriptions import jobs as subscription_jobs
from ratemill.store.subscriptions.jobs import SubscriptionJob
from ratemill.subscription_objects import ObjectKind


@pytest.fixture
def connection(guide: Mill) -> Iterator[Connection]:
    """Yield a connection to a store with an import of five products, three subscribers and a line that is no JSON."""
    with guide.database.worker() as opened:
        send(guide)
        yield opened


def send(made: Mill) -> None:
    kinds = [*5 * [ObjectKind.PRODUCT], *3 * [ObjectKind.SUBSCRIBER]]
    lines = [json.dumps({"data": {"type": kind.wire, "attributes": {"name": "x"}}}) for kind in kinds]
    answer = made.request("POST", "v2/subscriptions/imports", files={"import_file": "\n".join([*lines, "{"]).encode()})
    assert answer.status_code == 201


def held(connection: Connection) -> SubscriptionJob:
    (number,) = subscription_jobs.due(connection)
    job = subscription_jobs.hold(connection, number)
    assert job
    return job


def after(job: SubscriptionJob, table: LineTable) -> SubscriptionJob:
    return replace(job, kind=table.kind, next_line=table.next_line)


def tables(connection: Connection, lines_max: int, *, ahead: bool) -> list[LineTable]:
    reader, job, found = LineReader(), held(connection), []
    while table := reader.table(connection, job, lines_max):
        found.append(table)
        if ahead:
            reader.fetch_ahead(connection, job, table, lines_max)
            reader.read_ahead()
        job = after(job, table)
    return found


@pytest.mark.parametrize("lines_max", [1, 2, 8])
def test_each_line_is_in_one_table_kind_by_kind_read_ahead_or_not(connection: Connection, lines_max: int):
    read = tables(connection, lines_max, ahead=True)
    assert read == tables(connection, lines_max, ahead=False)
    numbers = [[each.line_number for each in table.lines] + list(table.refused) for table in read]
    assert [each for part in numbers for each in part] == [9, 1, 2, 3, 4, 5, 6, 7, 8]
    assert [table.kind for table in read] == sorted(table.kind for table in read)
    assert all(len(part) <= lines_max for part in numbers)


def test_imports_in_turns_are_each_read_ahead(connection: Connection, monkeypatch: pytest.MonkeyPatch):
    """Imports of several owners are at work at once, a table each in turn: no line is fetched or read again."""
    jobs = [held(connection), replace(held(connection), import_number=0)]  # the second has no lines
    reader, fetched, lines = LineReader(), [], subscription_jobs.lines

    def counted(opened: Connection, import_number: int, *place: int, **most: int) -> list[tuple[int, bytes]]:
        fetched.append((import_number, *place))
        return lines(opened, import_number, *place, **most)

    monkeypatch.setattr(subscription_jobs, "lines", counted)
    assert reader.table(connection, jobs[1], 2) is None
    while table := reader.table(connection, jobs[0], 2):
        reader.fetch_ahead(connection, jobs[0], table, 2)
        reader.read_ahead()
        assert reader.table(connection, jobs[1], 2) is None
        jobs[0] = after(jobs[0], table)
    of_the_first = [place for place in fetched if place[0] == jobs[0].import_number]
    assert len(of_the_first) == len(set(of_the_first))


def test_what_was_read_ahead_is_not_taken_for_another_table(connection: Connection):
    reader, job = LineReader(), held(connection)
    first = reader.table(connection, job, 8)
    assert first
    reader.fetch_ahead(connection, job, first, 8)
    reader.read_ahead()
    again = reader.table(connection, job, 8)  # the first one was taken back
    assert again == first
    reader.fetch_ahead(connection, job, first, 8)
    halved = reader.table(connection, after(job, first), 4)
    assert halved
    assert [each.line_number for each in halved.lines] == [1, 2, 3, 4]
