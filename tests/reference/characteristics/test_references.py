"""The references of an item, found and replaced."""

import pytest

from ratemill.reference import json_text
from ratemill.reference.characteristics.references import Reference, kind_of, references, rewritten

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
    assert kind_of(member, 2) == kind
