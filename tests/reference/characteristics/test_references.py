"""The references of an item, found and replaced."""

from typing import Any

import pytest

from ratemill.reference import json_text
from ratemill.reference.characteristics.references import (
    ItemUse,
    Reference,
    names_of,
    references,
    rewritten,
    target_kind,
)

READ = json_text.read(
    """{"id": "a", "parentReference": {"id": "p"}, "adminClassReference": {"id": "exampleID"}, "ud_where": {"id": "there"},
    "udLookup_L": {"udfLookupItems": [
        {"text1": "t", "contact2Reference": {"sid": 7}, "udKeyXListReference": {"description": "All"}, "udKeyXReference": {}
        }]},
    "user1BOMHeaders": [{"allocationMethodReference": {"registeredProdedureName": "P"},
        "user1BOMDetails": [{"quantity": 1, "udKey1Reference": {"id": "c"}}]}]}"""
)
assert isinstance(READ, dict)
ITEM = READ


def test_every_reference_is_found_with_its_path_and_kind():
    assert list(references(ITEM, 3)) == [
        Reference("parentReference", "user3", "id", "p"),
        Reference("adminClassReference", "adminClass", "id", "exampleID"),
        Reference("ud_where", "ud_where", "id", "there"),
        Reference("udLookup_L.udfLookupItems[0].contact2Reference", "contact", "sid", "7"),
        Reference("udLookup_L.udfLookupItems[0].udKeyXListReference", "user3list", "description", "All"),
        Reference("user1BOMHeaders[0].allocationMethodReference", "procedure", "registeredProdedureName", "P"),
        Reference("user1BOMHeaders[0].user1BOMDetails[0].udKey1Reference", "user1", "id", "c"),
    ]
    assert [each.value for each in references(ITEM, 3) if each.of_item] == ["p", "c"]


def test_what_is_not_looked_up_stays_as_it_is():
    assert rewritten(ITEM, 1, lambda *_: None) == ITEM
    changed = rewritten(ITEM, 1, lambda each, _: {"seen": each.value} if each.key == "sid" else None)
    assert json_text.write(changed) == json_text.write(ITEM).replace('{"sid":7}', '{"seen":"7"}')


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ("udKeyXReference", "user2"),
        ("udKey12Reference", "user12"),
        ("udKeyXHierarchyTypeReference", "hierarchyType"),
        ("endPostedPeriodReference", "period"),
        ("contact4Reference", "contact"),
        ("ud_contactReference", "ud_contactReference"),
    ],
)
def test_the_name_of_a_member_tells_what_it_points_to(member: str, kind: str):
    assert target_kind(member, 2) == kind


def read_item(text: str) -> dict[str, Any]:
    value = json_text.read(text)
    assert isinstance(value, dict)
    return value


def test_items_and_objects_are_named_with_their_places():
    found = names_of(
        read_item("""{"id":"a","parentReference":{"id":"p"},"adminClassReference":{"id":"films"},"ud_r":{"id":"r"},"ud_s":"text",
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
