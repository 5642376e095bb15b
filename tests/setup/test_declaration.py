"""The declaration agrees with the schema and the reference page."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratemill.setup.declaration import SetupObject
from ratemill.setup.documents.yaml_nodes import read_yaml
from ratemill.setup.nodes import Items, Scalar
from ratemill.setup.objects.registry import BY_LIST, OBJECTS
from ratemill.setup.reading.export import write_text
from ratemill.store.schema.tables import metadata

ROOT = Path(__file__).parents[2]
LISTS = {
    "udrIdentifierTypes": ("Udr/IdentifierType/", "udrIdentifierType"),
    "usageClassTypes": ("Usage/ClassType/", "usageClassType"),
    "usageUnits": ("Usage/Unit/", "usageUnit"),
    "usageRoundings": ("Usage/Rounding/", "usageRounding"),
    "usageClasses": ("Usage/Class/", "usageClass"),
    "geoTreeLocations": ("GeoTree/Location/", "geoTreeLocation"),
    "geoTreeLocationPatterns": ("GeoTree/Location/Pattern/", "geoTreeLocationPattern"),
    "geoTreeLocationGroups": ("GeoTree/Location/Group/", "geoTreeLocationGroup"),
    "usageBucketBases": ("Usage/Bucket/Base/", "usageBucketBase"),
    "usageBucketBaseDetails": ("Usage/Bucket/BaseDetail/", "usageBucketBaseDetail"),
    "dataProfiles": ("DataProfile/", "dataProfile"),
    "udrFeeds": ("Udr/Feed/", "udrFeed"),
    "timePeriods": ("TimePeriod/", "timePeriod"),
    "usageRateGroups": ("Usage/Rate/Group/", "usageRateGroup"),
    "usageRatePlans": ("Usage/Rate/Plan/", "usageRatePlan"),
    "usageRates": ("Usage/Rate/", "usageRate"),
    "usageBuckets": ("Usage/Bucket/", "usageBucket"),
    "accountUsageBuckets": ("Account/UsageBucket/", "accountUsageBucket"),
    "accountServiceUsageBuckets": ("Account/Service/UsageBucket/", "accountServiceUsageBucket"),
    "owners": ("Owner/", "owner"),
    "accounts": ("Account/", "account"),
    "accountServices": ("Account/Service/", "accountService"),
    "subscriptionRatePlans": ("Subscription/RatePlan/", "subscriptionRatePlan"),
    "usageIdentifiers": ("Account/Service/UsageIdentifier/", "usageIdentifier"),
}


def test_the_lists_are_named_as_on_the_wire():
    assert {each.list_name: (each.path, each.dto_type_key) for each in OBJECTS} == LISTS


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: each.list_name)
def test_every_column_is_in_the_schema_and_every_reference_leads_to_a_list(each: SetupObject):
    table = metadata.tables[each.table]
    assert {each.identity, *each.columns} <= set(table.c.keys())
    assert set(table.c.keys()) <= {each.identity, *each.columns, "owner_id", "revision", "built_in", "version"}
    for member in each.members:
        if member.is_reference:
            assert member.target in BY_LIST


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: each.list_name)
def test_what_the_schema_requires_is_required_or_has_a_default(each: SetupObject):
    table = metadata.tables[each.table]
    for member in each.members:
        if member.column in table.c and not table.c[member.column].nullable:
            assert member.required or member.default is not None, member.name


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: each.list_name)
def test_a_list_stands_behind_those_it_refers_to(each: SetupObject):
    order = [one.list_name for one in OBJECTS]
    for member in each.references:
        if member.target in order and member.target != each.list_name:
            assert order.index(member.target) < order.index(each.list_name)


def test_the_reference_page_is_as_the_declaration_says():
    script = runpy.run_path(str(ROOT / "scripts" / "write-set-up-reference"))
    text = (ROOT / "docs" / "reference" / "set-up.md").read_text()
    assert script["page"](text) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_every_text_that_is_written_is_read_back(texts: list[str]):
    node = read_yaml("[" + ", ".join(write_text(each) for each in texts) + "]")
    assert isinstance(node, Items)
    assert [item.text for item in node.items if isinstance(item, Scalar)] == texts
