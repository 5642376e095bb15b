"""Usage that names items: kept and shown whether an item exists or not, found again by it, refused where it must exist."""

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from tests.fixtures.mill import Mill
from tests.fixtures.seeded import new_id
from tests.fixtures.two_mills import instance, items, two_mills
from typer.testing import CliRunner, Result

from ratemill import logs
from ratemill.cli.app import app
from ratemill.errors import UsageFault
from ratemill.settings import Settings
from ratemill.store.connections import Database
from ratemill.store.usage import carried_items

_SALES = """format: json, duplicateKey: [],
     fields: [{name: date}, {name: udrUsageIdentifier}, {name: value}, {name: usageClassName}, {name: product},
              {name: language}],
     mappings: [{target: characteristic1, source: product}, {target: characteristic20, source: language}]"""
SALES = f"""
ratemill: 1
dataProfiles:
  - {{name: sales, {_SALES}}}
  - {{name: strict sales, {_SALES}, requiredCharacteristics: [characteristic1]}}
udrFeeds:
  - {{name: Sales, apiName: sales, dataProfileName: sales, batchWaitSeconds: 0}}
  - {{name: Strict Sales, apiName: strictSales, dataProfileName: strict sales, batchWaitSeconds: 0}}
"""
CHARGES, EXCEPTIONS = "/Udr/Charge/Paged", "/Udr/Usage/Exception/Paged"
PRODUCT, QUOTED = "004 Product", 'Müller & "Söhne" \\ 1'


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as made:
        for each in made:
            each.apply(SALES)
        yield made


@pytest.fixture(scope="module")
def mine(mills: tuple[Mill, Mill]) -> Mill:
    """Return the mill that has the product, and usage of it."""
    mine, others = mills
    guid = make_item(mine, 1, PRODUCT, "Pebbles 2")
    assert isinstance(guid, UUID)
    post(mine, sale(1, PRODUCT, "en"), sale(2, PRODUCT), sale(3, QUOTED), sale(4), sale(5, PRODUCT, who="nobody"))
    post(others, sale(1, PRODUCT))
    return mine


def make_item(mill: Mill, number: int, name: str, description: str) -> UUID:
    guid = new_id()
    mill.change(
        "insert into characteristic_items"
        " (owner_id, characteristic, guid, id, description, document, created_by, changed_by)"
        " select owner_id, %s, %s, %s, %s, '{}', 'tester', 'tester' from owners where name = %s",
        number,
        guid,
        name,
        description,
        mill.owner,
    )
    return guid


def sale(value: int, product: str = "", language: str = "", *, who: str = "648-688-4180") -> dict[str, str]:
    fields = {"date": "2022-05-01", "udrUsageIdentifier": who, "value": str(value), "usageClassName": "data_class"}
    return {**fields, "product": product, "language": language}


def post(mill: Mill, *sales: dict[str, str], feed: str = "sales") -> str:
    answer = mill.request("POST", f"/DataImport/Usage/Json/Multi/{feed}", content=json.dumps({"data": sales}))
    assert answer.status_code == 200, answer.text
    mill.work()
    return str(answer.json()["trackingId"])


def quantities(mill: Mill, **filters: str) -> list[str]:
    return [charge["quantity"] for charge in items(mill, CHARGES, **filters)]


def test_a_charge_shows_what_it_names_and_what_is_known_of_it(mine: Mill):
    charge = items(mine, CHARGES, characteristic1=PRODUCT)[0]
    guid = mine.value("select guid from characteristic_items where id = %s", PRODUCT)
    assert (charge["characteristic1"], charge["characteristic20"]) == (PRODUCT, "en")
    assert charge["characteristics"] == {
        "characteristic1": {"id": PRODUCT, "guid": str(guid), "description": "Pebbles 2"},
        "characteristic20": {"id": "en", "guid": None, "description": None},
    }
    assert instance(mine, f"/Udr/Charge/{charge['identity']}") == charge


def test_a_charge_that_names_nothing_says_so(mine: Mill):
    charge = next(each for each in items(mine, CHARGES) if each["quantity"] == "4")
    assert charge["characteristics"] == {}
    assert "characteristic1" not in charge


def test_charges_are_found_by_the_items_that_they_name(mine: Mill):
    assert quantities(mine, characteristic1=PRODUCT) == ["1", "2"]
    assert quantities(mine, characteristic1=PRODUCT, characteristic20="en") == ["1"]
    assert quantities(mine, characteristic1=QUOTED) == ["3"]
    assert quantities(mine, characteristic1=PRODUCT, accountName="Acme", to="2022-05-02") == ["1", "2"]
    assert quantities(mine, characteristic1=PRODUCT, to="2022-05-01") == []
    assert quantities(mine, characteristic2=PRODUCT) == quantities(mine, characteristic1="nothing") == []


def test_another_owner_sees_its_own_usage_and_no_item_of_mine(mine: Mill, mills: tuple[Mill, Mill]):
    charge = items(mills[1], CHARGES, characteristic1=PRODUCT)
    assert [each["characteristics"] for each in charge] == [
        {"characteristic1": {"id": PRODUCT, "guid": None, "description": None}}
    ]
    assert quantities(mills[1], characteristic1=QUOTED) == []


def test_what_charges_name_is_written_down_whether_it_exists_or_not(mine: Mill, mills: tuple[Mill, Mill]):
    """So that whoever deletes an item need not search the charges; a rating exception is no charge."""
    named = {(1, PRODUCT), (1, QUOTED), (20, "en"), (1, "nothing")}
    with mine.database.face(1) as connection:
        assert carried_items.charged(connection, 1, named) == named - {(1, "nothing")}
    with mine.database.face(2) as connection:
        assert carried_items.charged(connection, 2, named) == {(1, PRODUCT)}


def test_a_rating_exception_shows_the_item_and_is_found_by_it_to_be_rated_anew(mine: Mill):
    excepted = items(mine, EXCEPTIONS)
    assert [each["characteristics"]["characteristic1"]["description"] for each in excepted] == ["Pebbles 2"]
    search = [{"name": "characteristic1", "operator": "eq", "value": PRODUCT}]
    answer = mine.request(
        "POST", "/UsageRatedExceptionSchedule/Reprocess", content=json.dumps({"filterCriteria": {"search": search}})
    )
    assert answer.json()["results"]["items"][0]["instance"]["matchedCount"] == 1, answer.text


def test_rating_exceptions_are_listed_by_the_items_that_they_name(mine: Mill):
    (excepted,) = items(mine, EXCEPTIONS, characteristic1=PRODUCT)
    assert (excepted["udrUsageIdentifier"], excepted["characteristic1"]) == ("nobody", PRODUCT)
    assert items(mine, EXCEPTIONS, characteristic1=PRODUCT, characteristic20="en") == []
    assert items(mine, EXCEPTIONS, characteristic1=PRODUCT, udrUsageIdentifier="nobody") == [excepted]
    assert items(mine, EXCEPTIONS, characteristic2=PRODUCT) == []
    assert items(mine, EXCEPTIONS, characteristic1=PRODUCT, complete="true") == []


def test_a_record_shows_the_items_as_its_charge_does(mine: Mill):
    charge = items(mine, CHARGES, characteristic1=PRODUCT)[0]
    record = items(mine, f"/DataImport/History/{charge['dataImportHistoryId']}/Record/Paged")[0]
    assert record["udrMediated"]["characteristics"] == charge["characteristics"]
    assert record["charges"] == [charge]


def test_where_an_item_must_exist_an_unknown_one_makes_an_import_exception(mine: Mill):
    tracking_id = post(mine, sale(11, PRODUCT), sale(12, "006 Product"), sale(13), feed="strictSales")
    refused = items(mine, "/DataImport/History/Exception/Paged", trackingId=tracking_id)
    assert [each["dataImportExceptionErrorTypeName"] for each in refused] == ["characteristic_item_not_found"]
    assert refused[0]["message"] == "Row 2, field product: no item of the characteristic has the id '006 Product'."
    assert quantities(mine, trackingId=tracking_id) == ["11", "13"]
    mine.assert_ties()


def test_an_item_that_came_later_lets_the_row_in_when_it_is_sent_again(mine: Mill):
    tracking_id = post(mine, sale(21, "007 Product"), feed="strictSales")
    refused = items(mine, "/DataImport/History/Exception/Paged", trackingId=tracking_id)[0]
    make_item(mine, 1, "007 Product", "The seventh")
    path = f"/DataImport/History/Exception/{refused['dataImportExceptionId']}/Resubmit"
    answer = mine.request("POST", path, content=json.dumps({"data": sale(21, "007 Product")}))
    assert answer.status_code == 200, answer.text
    mine.work()
    assert quantities(mine, characteristic1="007 Product") == ["21"]
    mine.assert_ties()


@pytest.fixture
def run(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setattr(logs, "configure", lambda **_: None)
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_command_filters_as_the_call_does(run: Callable[..., Result], mine: Mill):
    shown = run("charges", "--filter", f"characteristic1={PRODUCT}", "--filter", "accountName=Acme", "--json")
    assert json.loads(shown.stdout) == items(mine, CHARGES, characteristic1=PRODUCT)


def test_the_command_names_every_filter_that_is_wrong(run: Callable[..., Result], mine: Mill):
    shown = run("charges", "--filter", "characteristic21=x", "--filter", "from=soon")
    assert isinstance(shown.exception, UsageFault)
    assert shown.exception.exit_code == 2
    assert "'characteristic21' is no parameter of this call" in str(shown.exception)
    assert "from must be a time" in str(shown.exception)


def test_a_rehearsal_looks_for_the_items_too(run: Callable[..., Result], mine: Mill, tmp_path):
    sample = tmp_path / "sample.jsonl"
    sample.write_text("\n".join(json.dumps(each) for each in (sale(1, PRODUCT), sale(2, "008 Product"))))
    shown = json.loads(run("rehearse", "strict sales", sample, "--json").stdout)
    assert [row["outcome"] for row in shown["rows"]] == ["Mediated", "ImportException"]
    assert shown["rows"][1]["faults"][0]["fieldValue"] == "008 Product"


def test_a_trace_makes_a_record_again_also_when_its_item_is_gone(run: Callable[..., Result], mine: Mill):
    """An item makes nothing of a usage record: what was mediated met the requirement when it was."""
    make_item(mine, 1, "009 Product", "The ninth")
    tracking_id = post(mine, sale(31, "009 Product"), feed="strictSales")
    mine.change("delete from characteristic_items where id = '009 Product'")
    matches = json.loads(run("trace", tracking_id, "--json").stdout)["matches"]
    assert matches[0]["records"][0]["remade"]["equal"] is True
