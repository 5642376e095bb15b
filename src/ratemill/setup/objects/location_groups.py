"""Location groups: several locations that share a price."""

from __future__ import annotations

from ratemill.setup.declaration import Link, Member, MemberKind, SetupObject, name_member
from ratemill.setup.rules.ties import groups_without_tie

OBJECT = SetupObject(
    list_name="geoTreeLocationGroups",
    path="GeoTree/Location/Group/",
    dto_type_key="geoTreeLocationGroup",
    noun="location group",
    table="location_groups",
    identity="location_group_id",
    members=(
        name_member(),
        Member(
            "geoTreeLocationNames",
            "location_ids",
            MemberKind.REFERENCES,
            required=True,
            target="geoTreeLocations",
            link=Link("location_group_members", "location_group_id", "location_id"),
        ),
        Member("description", "description"),
    ),
    list_rules=(groups_without_tie,),
)
