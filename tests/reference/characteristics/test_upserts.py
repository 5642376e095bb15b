"""What items name, and how they join what is stored."""

from typing import Any

import pytest

from ratemill.reference import json_text
from ratemill.reference.characteristics.upserts import ItemUse, bill_warnings, kept, merged, names_of


def item(text: str) -> dict[str, Any]:
    value = json_text.read(text)
    assert isinstance(value, dict)
    return value


def test_items_and_objects_are_named_with_their_places():
    found = names_of(
        item("""{"id":"a","parentReference":{"id":"p"},"adminClassReference":{"id":"films"},"ud_r":{"id":"r"},"ud_s":"text",
            "udLookup_T":{"udfLookupItems":[{"contact2Reference":{"id":"c"},"udKeyXReference":{"sid":7},"ud_T":{"id":"t"},
            "startPostedPeriodReference":{"id":"m"},"udKeyXListReference":{"description":"l"}}]},
            "user3BOMHeaders":[{"allocationMethodReference":{"registeredProdedureName":"proc"},
            "user3BOMDetails":[{"udKey3Reference":{"guid":"AB"}}]}]}"""),
        2,
    )
    assert found.uses == [
        ItemUse("parentReference", 2, "id", "p"),
        ItemUse("udLookup_T.udfLookupItems[0].udKeyXReference", 2, "sid", "7"),
        ItemUse("user3BOMHeaders[0].user3BOMDetails[0].udKey3Reference", 3, "guid", "ab"),
    ]
    assert found.objects == [
        ("adminClass", "id", "films"),
        ("ud_r", "id", "r"),
        ("contact", "id", "c"),
        ("ud_T", "id", "t"),
        ("period", "id", "m"),
        ("user2list", "description", "l"),
        ("procedure", "registeredProdedureName", "proc"),
    ]


@pytest.mark.parametrize(
    ("stored", "sent", "expected"),
    [
        ('{"id":"a"}', '{"id":"a"}', None),
        ('{"id":"a"}', '{"id":"a","comment":null}', None),
        ('{"n":1,"m":{"x":[1,"2"]}}', '{"m":{"x":[1,"2"]}}', None),
        ('{"n":1}', '{"n":1.0}', '{"n":1.0}'),
        ('{"n":1}', '{"n":"1"}', '{"n":"1"}'),
        ('{"m":{"x":[1]}}', '{"m":{"x":["1"]}}', '{"m":{"x":["1"]}}'),
        ('{"a":1,"b":2}', '{"c":3,"a":null}', '{"a":null,"b":2,"c":3}'),
        ('{"a":true}', '{"a":"true"}', '{"a":"true"}'),
    ],
)
def test_what_is_sent_takes_the_place_of_what_is_stored(stored: str, sent: str, expected: str | None):
    found = merged(item(stored), item(sent))
    assert (json_text.write(found) if found is not None else None) == expected


def test_members_that_an_item_does_not_have_are_not_kept():
    assert list(kept(item('{"ud_a":1,"nonsense":2,"id":"x","user2BOMHeaders":[],"guid":"g"}'))) == [
        "ud_a",
        "id",
        "user2BOMHeaders",
    ]


def test_bills_that_follow_each_other_are_not_warned_of():
    bills = """{"user1BOMHeaders":[
        {"effectiveFromDate":"2021-01-01T00:00:00","effectiveToDate":"2021-12-31T23:59:59",
         "user1BOMDetails":[{"allocationPercent":33.3},{"allocationPercent":66.7}]},
        {"effectiveFromDate":"2022-01-01T00:00:00+00:00","effectiveToDate":"9999-12-31T23:59:59","user1BOMDetails":[{}]},
        {"effectiveToDate":"2020-01-01T00:00:00","user1BOMDetails":[{"allocationPercent":1e2}]}]}"""
    assert bill_warnings(item(bills), 1, "items[0]") == []
