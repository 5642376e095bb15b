"""Messages stay short and visible, whatever they repeat, and what is healthy next to the absurd value is taken."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from tests.api.setup.calls import refused, send
from tests.fixtures.items import call
from tests.fixtures.mill import Mill, guide_row, mill

from ratemill.errors import MESSAGE_CHARS_MAX, Fault
from ratemill.reasons import IMPORT, RATING, message_of
from ratemill.settings import Settings
from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database
from ratemill.visible import SHOWN_CHARS_MAX, visible

# An escape sequence, a C1 control, a direction override, a zero-width space, a line separator; then 5,000 characters.
ABSURD = ["\x1b[31m\x9b2J\u202e\u200b\u2028a", "\x1b\u202e" + "z" * 5_000, "y" * 5_000]
MESSAGES = {"message", "detail", "reason", "error", "title", "shownMessage"}


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def messages(content: Any) -> Iterator[str]:
    """Yield each text of an answer that is read by people."""
    if isinstance(content, list):
        for each in content:
            yield from messages(each)
    elif isinstance(content, dict):
        for name, value in content.items():
            if name in MESSAGES and isinstance(value, str):
                yield value
            elif name in ("messages", "warnings") and isinstance(value, list):
                yield from (each for each in value if isinstance(each, str))
            yield from messages(value)


def assert_readable(found: list[str]) -> None:
    assert found
    for message in found:
        assert len(message) <= MESSAGE_CHARS_MAX, message
        assert visible(message) == message
        assert "z" * (SHOWN_CHARS_MAX + 1) not in message, message
        assert "y" * (SHOWN_CHARS_MAX + 1) not in message, message


def readable_refusal(answer: Response, *statuses: int) -> str:
    assert answer.status_code in (statuses or (400,)), answer.text
    found = list(messages(answer.json()))
    assert_readable(found)
    return " ".join(found)


@pytest.mark.parametrize("name", [*IMPORT, *RATING])
@pytest.mark.parametrize("value", ABSURD, ids=["invisible", "both", "long"])
def test_the_message_of_a_reason_is_short_and_visible(name: str, value: str):
    for reason in {each.id for each in (IMPORT.get(name), RATING.get(name)) if each}:
        message = message_of(reason, value, value)
        assert len(message) <= MESSAGE_CHARS_MAX
        assert visible(message) == message


@pytest.mark.parametrize("value", ABSURD, ids=["invisible", "both", "long"])
def test_a_fault_keeps_its_place_exact_and_its_message_readable(value: str):
    fault = Fault(1400, f"{value} is wrong", field=value, path=value)
    assert (fault.field, fault.path) == (value, value)
    assert len(fault.message) <= MESSAGE_CHARS_MAX
    assert visible(fault.message) == fault.message


@pytest.mark.parametrize("at", range(3))
def test_rows_are_refused_readably_and_their_neighbour_is_charged(mine: Mill, at: int):
    absurd = ABSURD[at].replace("\u2028", "")
    rows = [guide_row(100 + at), guide_row(200 + at, value=absurd), guide_row(300 + at, identifier=absurd)]
    charges = mine.value("select count(*) from charges")
    answer = mine.post_rows(*rows)
    assert answer.status_code == 200, answer.text
    mine.work()
    assert mine.value("select count(*) from charges") == charges + 1
    imports = mine.request("GET", "/DataImport/History/Exception/Paged").json()
    found = list(messages(imports))
    assert_readable(found)
    assert any("Row 2, field" in each for each in found)
    assert_readable(list(messages(mine.request("GET", "/Udr/Usage/Exception/Paged").json())))
    mine.assert_ties()


@pytest.mark.parametrize("absurd", ABSURD, ids=["invisible", "both", "long"])
def test_a_set_up_object_is_refused_readably(mine: Mill, absurd: str):
    for body in ({"name": absurd, absurd: absurd, "currencyName": absurd}, {"name": "x", "usageRatePlanName": absurd}):
        assert_readable([each["message"] for each in refused(send(mine, "POST", "Account/", body))])
    identity = mine.value("select min(account_id) from accounts")
    for patch in ({"currencyName": absurd}, {absurd: absurd}):
        readable_refusal(send(mine, "PATCH", f"Account/{identity}", patch), 400, 404, 405, 415)


@pytest.mark.parametrize("absurd", ABSURD, ids=["invisible", "both", "long"])
def test_a_document_is_refused_readably(mine: Mill, absurd: str):
    accounts = [
        {"name": "healthy", "currencyName": "USD"},
        {"name": "n", "currencyName": absurd, absurd: absurd, "usageRatePlanName": absurd},
    ]
    document = json.dumps({"ratemill": 1, "owner": mine.owner, "accounts": accounts, absurd: [absurd]})
    found = apply_document(mine.database, document, Path(), created_by="tester")
    assert_readable([fault.message for fault in found.errors])
    assert any(fault.path and "accounts[1]" in fault.path for fault in found.errors)


@pytest.mark.parametrize("absurd", ABSURD, ids=["invisible", "both", "long"])
def test_a_price_list_is_refused_readably(mine: Mill, absurd: str):
    group = mine.value("select min(rate_group_id) from rate_groups")
    path, cell = f"/Usage/Rate/Group/{group}/PriceList", absurd.replace("\u2028", "")
    lists = (f"usageClassName,amount\n{cell},0.05\n", f"usageClassName,amount\nsms,{cell}\n", f"{cell},amount\na,1\n")
    for text in lists:
        readable_refusal(mine.request("POST", path, content=text.encode(), headers={"Content-Type": "text/csv"}))


@pytest.mark.parametrize("absurd", ABSURD, ids=["invisible", "both", "long"])
def test_items_and_lines_are_refused_readably(mine: Mill, absurd: str):
    item = {"id": absurd[:90], "name": absurd, absurd: absurd, "audit": absurd, "parentReference": {"id": absurd[:80]}}
    readable_refusal(call(mine, "POST", "user1", item), 400)
    line = {"data": {"type": absurd, "attributes": {"name": absurd, absurd: absurd}}}
    healthy = {"data": {"type": "subscription_product", "attributes": {"external_ref": "p", "name": "A product"}}}
    content = f"{json.dumps(line)}\n{json.dumps(healthy)}\n".encode()
    answer = mine.request("POST", "v2/subscriptions/imports", files=[("import_file", ("a.jsonl", content))])
    assert all(visible(each) == each for each in messages(answer.json()))


@pytest.mark.parametrize("absurd", ABSURD, ids=["invisible", "both", "long"])
@pytest.mark.parametrize("path", ["/Udr/Charge/Paged", "/Account/Paged", "/DataImport/History/Exception/Paged"])
def test_parameters_and_paths_are_refused_readably(mine: Mill, path: str, absurd: str):
    readable_refusal(mine.request("GET", path, params={"pageSize": absurd}))
    readable_refusal(mine.request("GET", path, params={absurd: absurd}))
    readable_refusal(mine.post_rows(guide_row(1), feed=absurd[:200].replace("\x1b", "%1B")), 404, 400)
