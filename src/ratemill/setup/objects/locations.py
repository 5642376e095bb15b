"""The tree of locations; ``Everywhere`` is its built-in root."""

from __future__ import annotations

from ratemill.setup.declaration import SetupObject, name_member, reference
from ratemill.setup.rules.names import no_cycle

OBJECT = SetupObject(
    list_name="geoTreeLocations",
    path="GeoTree/Location/",
    dto_type_key="geoTreeLocation",
    noun="location",
    table="locations",
    identity="location_id",
    members=(
        name_member(),
        reference("parentGeoTreeLocationName", "parent_location_id", "geoTreeLocations", default="Everywhere"),
    ),
    list_rules=(no_cycle("parent_location_id", "parentGeoTreeLocationName"),),
)
