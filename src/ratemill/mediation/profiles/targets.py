"""The targets that a usage record is made of, by their names on the wire, and the columns that they fill."""

from __future__ import annotations

from ratemill import characteristics

DATE = "date"
IDENTIFIER_TYPE = "udrIdentifierTypeName"
IDENTIFIER = "udrUsageIdentifier"
VALUE = "value"
INBOUND = "inbound"
REVERSE_RATING = "reverseRating"
USAGE_CLASS = "usageClassName"

# In the order of the usage record; the order in which the faults of one rule are named, and that of the key.
COLUMN_OF: dict[str, str] = {
    DATE: "usage_at",
    IDENTIFIER_TYPE: "identifier_type",
    "originatingIdentifier": "originating_identifier",
    "terminatingIdentifier": "terminating_identifier",
    IDENTIFIER: "usage_identifier",
    VALUE: "quantity",
    INBOUND: "inbound",
    REVERSE_RATING: "reverse_rating",
    USAGE_CLASS: "usage_class",
    "usageClassTypeName": "usage_class_type",
    "uniquenessIdentifier": "uniqueness_identifier",
}
REQUIRED = (DATE, IDENTIFIER, VALUE, USAGE_CLASS)
FLAGS = (INBOUND, REVERSE_RATING)
IDENTIFIER_TYPE_UNKNOWN = "Unknown"
CHARACTERISTICS = characteristics.NAMES

# By the name in small letters; a field called `DateTime` feeds the date.
_BY_LOWER = {name.lower(): name for name in (*COLUMN_OF, *CHARACTERISTICS)} | {"datetime": DATE}
_POSITION = {name: position for position, name in enumerate((*COLUMN_OF, *CHARACTERISTICS))}


def automatic_target(field: str) -> str | None:
    """Return the target that a field of this name fills unasked, if there is one."""
    return _BY_LOWER.get(field.lower())


def target_named(name: str) -> str:
    """Return the target as it is spelled here, whatever its case; any other name is an extension field and stays."""
    known = _BY_LOWER.get(name.lower())
    return name if known is None or name.lower() == "datetime" else known


def position(target: str) -> tuple[int, str]:
    """Return what sorts targets: those of the usage record, then characteristics, then extension fields by name."""
    return _POSITION.get(target, len(_POSITION)), target
