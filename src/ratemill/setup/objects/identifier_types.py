"""The types of usage identifiers; ``Unknown`` is built in and matches identifiers of every type."""

from __future__ import annotations

from ratemill.setup.declaration import SetupObject, name_member

OBJECT = SetupObject(
    list_name="udrIdentifierTypes",
    path="Udr/IdentifierType/",
    dto_type_key="udrIdentifierType",
    noun="identifier type",
    table="identifier_types",
    identity="identifier_type_id",
    members=(name_member(),),
)
