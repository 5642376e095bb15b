"""A write of one object is planned once: the server keeps its plans, and none of them reads a table whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.setup.calls import done, send
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.setup.objects.rates import OBJECT as RATES
from ratemill.setup.writing import editing
from ratemill.setup.writing.changes import Author
from ratemill.store.connections import Database, driver

SET_UP = """
ratemill: 1
usageClasses: [{name: voice, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}]
geoTreeLocations: [{name: France}, {name: Spain}]
usageRateGroups: [{name: A, currencyName: USD}]
usageRatePlans: [{name: P, usageRateGroupNames: [A]}]
usageRates:
  - {usageRateGroupName: A, usageClassName: voice, geoTreeLocationName: France, amount: "1"}
accounts: [{name: Top, currencyName: USD, usageRatePlanName: P}]
accountServices: [{accountName: Top, name: Line}]
usageIdentifiers: [{udrUsageIdentifier: one, accountName: Top, accountServiceName: Line}]
"""


def others(start: int, end: int) -> str:
    rows = "".join(f"  - {{name: 'Province {at}', parentGeoTreeLocationName: Spain}}\n" for at in range(start, end))
    return f"ratemill: 1\ngeoTreeLocations:\n{rows}"


PRICES = "ratemill: 1\nusageRates:\n" + "".join(
    f"  - {{usageRateGroupName: A, usageClassName: voice, geoTreeLocationName: Province {at}, amount: '2'}}\n"
    for at in range(2_000)
)
WRITES = 16  # the driver prepares a statement after five, and the server plans that one five times more
PLANS_MAX = 5


@pytest.fixture(scope="module")
def made(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings, document=SET_UP) as found:
        found.apply(others(0, 2_000))
        found.apply(PRICES)
        with found.database.schema_owner() as connection:
            driver(connection).execute("analyze")  # small: the planner would read most tables whole
        yield found


def identity(made: Mill, table: str, column: str) -> int:
    owner_id = f"(select owner_id from owners where name = '{made.owner}')"
    return int(made.value(f"select max({column}) from {table} where owner_id = {owner_id}"))


def write_all(made: Mill, number: int) -> None:
    rate, account = identity(made, "rates", "rate_id"), identity(made, "accounts", "account_id")
    done(send(made, "PUT", f"Usage/Rate/{rate}", {"amount": f"0.{number + 100}"}), "update")
    done(send(made, "PUT", f"Account/{account}", {"usageBillDay": number % 27 + 2}), "update")


def plans(database: Database) -> list[tuple[str, int, int]]:
    """Return the statements that the connection has prepared: how often each was planned for its values, and for any."""
    with database.face(None) as connection:
        found = driver(connection).execute("select statement, custom_plans, generic_plans from pg_prepared_statements")
        return found.fetchall()


def test_statements_of_a_write_are_planned_once(made: Mill):
    for number in range(WRITES):
        write_all(made, number)
    kept = [each for each in plans(made.database) if " join " in each[0] and "unnest(" not in each[0]]
    logged = [each for each in kept if "insert into setup_changes" in each[0]]
    shown = [each for each in kept if each not in logged]
    assert len(logged) == 2
    assert len(shown) == 2
    for statement, custom, generic in kept:
        assert custom <= PLANS_MAX, statement
        assert generic >= 1, statement


def test_a_kept_plan_does_not_read_a_table_that_has_grown(made: Mill):
    for number in range(WRITES):
        write_all(made, number)
    made.apply(others(2_000, 6_000))
    rate = identity(made, "rates", "rate_id")
    owner_id = int(made.value(f"select owner_id from owners where name = '{made.owner}'"))
    with editing.edit(made.database, owner_id, Author("x", "http")) as work:
        assert work.show(RATES, [rate])[rate].instance["geoTreeLocationName"] == "Province 1999"
        read = "select seq_scan, relname from pg_stat_xact_user_tables where relname in ('locations', 'rates')"
        assert all(count == 0 for count, _ in driver(work.connection).execute(read).fetchall())


def test_an_edit_leaves_the_connection_as_it_was(made: Mill):
    write_all(made, 1)
    with made.database.face(None) as connection:
        for name in ("enable_seqscan", "jit"):
            was = driver(connection).execute("select reset_val from pg_settings where name = %s", (name,)).fetchone()
            assert driver(connection).execute(f"show {name}").fetchone() == was
