"""SQLSTATEs: each has one cause, and the cause decides what the caller gets."""

import inspect
from contextlib import suppress

import psycopg
import pytest
from psycopg import errors

from ratemill.errors import DatabaseAway, StatementDefect, StatementLimit, Unavailable, UnstorableData, WriteRace
from ratemill.settings import Settings
from ratemill.store.connections import Database, driver, pipeline
from ratemill.store.embedded.embedded import Server
from ratemill.store.server.sqlstates import CLASSES, STATES, Cause, cause_of, error_from

KNOWN = sorted(
    {
        kind.sqlstate
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, psycopg.Error) and kind.sqlstate
    }
)


def cause(state: str) -> Cause:
    return cause_of(errors.lookup(state)(""))


def test_every_class_of_postgresql_is_classified_once():
    assert {state[:2] for state in KNOWN} <= set(CLASSES)
    assert len(KNOWN) > 250


def test_an_exception_to_a_class_names_a_state_that_exists_and_differs_from_it():
    for state, its_cause in STATES.items():
        assert state in KNOWN
        assert its_cause is not CLASSES[state[:2]]


@pytest.mark.parametrize("state", KNOWN)
def test_the_state_decides_and_not_the_class_of_the_driver(state):
    kind = errors.lookup(state)
    assert cause(state) is (STATES.get(state) or CLASSES[state[:2]])
    expected = {
        Cause.WORLD: DatabaseAway,
        Cause.RACE: WriteRace,
        Cause.LIMIT: StatementLimit,
        Cause.RECORD: UnstorableData,
        Cause.OURS: StatementDefect,
    }[cause(state)]
    assert type(error_from(kind("refused"))) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("53100", Cause.WORLD),
        ("53200", Cause.WORLD),
        ("53300", Cause.WORLD),
        ("57P01", Cause.WORLD),
        ("57P03", Cause.WORLD),
        ("57014", Cause.LIMIT),
        ("25P03", Cause.LIMIT),
        ("40001", Cause.RACE),
        ("40P01", Cause.RACE),
        ("55P03", Cause.RACE),
        ("54000", Cause.RECORD),
        ("22P02", Cause.RECORD),
        ("23514", Cause.RECORD),
        ("42P01", Cause.OURS),
        ("42501", Cause.OURS),
    ],
)
def test_the_states_that_matter_most(state, expected):
    assert cause(state) is expected


def test_an_unknown_state_is_ours():
    class Strange(psycopg.DatabaseError):
        sqlstate = "ZZ999"

    assert cause_of(Strange("")) is Cause.OURS


def test_an_error_without_a_state_is_the_worlds_unless_a_value_is_refused():
    lost = psycopg.OperationalError("server closed the connection unexpectedly")
    assert cause_of(lost) is Cause.WORLD
    assert cause_of(errors.ConnectionTimeout("connection timeout expired")) is Cause.WORLD
    assert cause_of(psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")) is Cause.RECORD


def test_only_what_is_worth_retrying_unchanged_is_unavailable():
    assert issubclass(DatabaseAway, Unavailable)
    assert issubclass(WriteRace, Unavailable)
    assert issubclass(StatementLimit, Unavailable)
    assert not issubclass(UnstorableData, Unavailable)
    assert not issubclass(StatementDefect, Unavailable)


def test_a_message_is_one_printable_line_of_bounded_length():
    message = str(error_from(errors.DataException("\x1b[31m" + "x" * 5_000 + "\nDETAIL: a row")))
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize(
    ("statement", "expected", "message"),
    [
        ("select 'ninety'::numeric", UnstorableData, "cannot store a value: invalid input syntax for type numeric"),
        ("insert into wide values ((select string_agg(md5(g::text), '') from generate_series(1, 200) g))",
            UnstorableData, "index row size .* exceeds"),
        ("insert into wide values ('a'), ('a')", UnstorableData, "duplicate key"),
        ("select * from missing", StatementDefect, r"refused a statement \(42P01\)"),
        ("set local statement_timeout = 20; select pg_sleep(60)", StatementLimit, "reached a limit"),
    ],
)  # fmt: skip
def test_what_the_server_really_refuses(database: Database, statement, expected, message):
    def refused() -> None:
        with database.worker() as connection:
            driver(connection).execute("create temporary table wide (name text primary key)")
            driver(connection).execute(statement)

    with pytest.raises(expected, match=message):
        refused()


def test_a_terminated_session_is_the_worlds(database: Database, server: Server):
    def ended() -> None:
        with database.worker() as connection, psycopg.connect(server.admin_dsn(), autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s)", (driver(connection).info.backend_pid,))
            driver(connection).execute("select 1")

    with pytest.raises(DatabaseAway, match="cannot be used now"):
        ended()


def test_a_pipeline_that_fails_tells_its_first_error(database: Database):
    def refused() -> None:
        with database.worker() as connection, pipeline(connection):
            driver(connection).execute("select 'a'::integer")
            driver(connection).execute("select 1")

    with pytest.raises(UnstorableData, match="integer"):
        refused()


def test_a_lock_that_another_transaction_holds_is_a_race(dsn: str):
    impatient = Database(dsn, Settings(lock_timeout_s=1))
    try:
        with impatient.worker() as first:
            driver(first).execute("select pg_advisory_xact_lock(4711)")
            with pytest.raises(WriteRace), impatient.worker() as second:
                driver(second).execute("select pg_advisory_xact_lock(4711)")
    finally:
        with suppress(Unavailable):
            impatient.close()
