"""Patterns: the prefixes of numbers that belong to a location; the longest wins."""

from __future__ import annotations

from ratemill.setup.declaration import SetupObject, name_member, reference

OBJECT = SetupObject(
    list_name="geoTreeLocationPatterns",
    path="GeoTree/Location/Pattern/",
    dto_type_key="geoTreeLocationPattern",
    noun="location pattern",
    table="location_patterns",
    identity="location_pattern_id",
    members=(
        name_member(),
        reference("geoTreeLocationName", "location_id", "geoTreeLocations", required=True, parent=True),
    ),
)
