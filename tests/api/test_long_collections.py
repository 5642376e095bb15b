"""A page of long objects ends at its bytes in the dialects that page by address: each object comes once, in order."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.fixtures.items import call, create, done
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

PAGE_BYTES, TEXT_CHARS = 30_000, 2_000
PAGE_BYTES_MOST = PAGE_BYTES + 30 * 1_000  # with what an answer adds to each object
SHORT, LONG, WHOLE = 40, 3 * PAGE_BYTES, 43


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings.model_copy(update={"page_bytes_max": PAGE_BYTES})) as made:
        yield made


def texts() -> list[str]:
    """Return the long texts of the objects: two of them fill a page each, and one is short again."""
    return ["é" * (TEXT_CHARS // 2)] * SHORT + ["d" * LONG] * 2 + ["e"]


@pytest.fixture(scope="module")
def items(mine: Mill) -> list[str]:
    """Items with long fields, below one parent and in one list."""
    create(mine, {"id": "parent"}, number=2)
    names = [f"{at:03}" for at in range(WHOLE)]
    for name, text in zip(names, texts(), strict=True):
        parts = {f"ud_{at}": text[at : at + 60_000] for at in range(0, len(text), 60_000)}
        create(mine, {"id": name, "parentReference": {"id": "parent"}, **parts}, number=2)
    return names


@pytest.fixture(scope="module")
def products(mine: Mill) -> list[str]:
    names = [f"product {at:03}" for at in range(WHOLE)]
    for name, text in zip(names, texts(), strict=True):
        data = {"type": "subscription_product", "attributes": {"name": name, "external_ref": name, "note": text}}
        answer = mine.request("POST", "v2/subscriptions/products", json={"data": data})
        assert answer.status_code == 201, answer.text
    return names


def walked(mine: Mill, path: str) -> tuple[list[Any], int]:
    """Return the objects of a collection, from page to page by the addresses that it gives, and how many pages it took."""
    found: list[Any] = []
    pages, address = 0, path
    while address:
        answer = mine.request("GET", address)
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        assert result["itemCount"] == len(result["items"]) > 0
        assert len(answer.content) <= PAGE_BYTES_MOST or len(result["items"]) == 1
        found, pages = found + result["items"], pages + 1
        parts = urlsplit(result["nextPageUrl"] or "")
        address = f"{parts.path}?{parts.query}".lstrip("/") if parts.path else ""
    assert result["totalItemCount"] == len(found)
    return found, pages


def test_items_are_read_from_page_to_page(mine: Mill, items: list[str]):
    found, pages = walked(mine, "api/data/user2?$top=1000&$filter=parentReference.id eq 'parent'")
    assert [each["id"] for each in found] == items
    assert pages > 3


def test_items_below_a_parent_are_read_from_page_to_page(mine: Mill, items: list[str]):
    (parent,) = done(call(mine, "GET", "user2?$filter=id eq 'parent'"))["items"]
    found, pages = walked(mine, f"api/data/user2/{parent['guid']}/children?$top=1000&$orderby=id desc")
    assert [each["id"] for each in found] == items[::-1]
    assert pages > 3


def test_items_of_a_list_are_read_from_page_to_page(mine: Mill, items: list[str]):
    body = {"description": "all", "includedItems": [{"id": name} for name in items]}
    made = done(call(mine, "POST", "user2lists", body), 201)
    found, pages = walked(mine, f"api/data/user2lists/{made['guid']}/items?$top=1000")
    assert [each["id"] for each in found] == items
    assert pages > 3


def test_changes_of_items_are_read_from_page_to_page(mine: Mill, items: list[str]):
    found, pages = walked(mine, "api/data/user2changes?$top=1000&object=item")
    assert [each["name"] for each in found] == [*items[::-1], "parent"]
    assert pages > 3


def test_a_short_page_of_short_items_is_as_long_as_it_was_asked_for(mine: Mill, items: list[str]):
    found = done(call(mine, "GET", "user2?$top=5"))
    assert (found["itemCount"], found["totalItemCount"]) == (5, len(items) + 1)
    assert found["nextPageUrl"].endswith("$skip=5&$top=5")
    assert done(call(mine, "GET", "user2?$top=0"))["nextPageUrl"] is None


def test_subscription_objects_are_read_from_page_to_page(mine: Mill, products: list[str]):
    found: list[Any] = []
    pages, address = 0, "v2/subscriptions/products?page[limit]=100"
    while address:
        answer = mine.request("GET", address)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["data"]
        assert len(answer.content) <= PAGE_BYTES_MOST or len(page["data"]) == 1
        found, pages = found + page["data"], pages + 1
        parts = urlsplit(page["links"]["next"] or "")
        address = f"{parts.path}?{parts.query}".lstrip("/") if parts.path else ""
        assert page["meta"]["results"]["total"] == len(products)
    assert [each["attributes"]["name"] for each in found] == products
    assert json.dumps(found, ensure_ascii=False).count("é") == SHORT * TEXT_CHARS // 2
    assert pages > 3
