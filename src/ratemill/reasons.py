"""Why a record was refused or could not be rated: numbers that never change, names that read as rules.

Within each list the reasons stand in the order in which they are checked; the first that a record breaks is its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.visible import SHOWN_CHARS_MAX, shown

_FAILURE_CHARS_MAX = 300
"""Characters of what went wrong with a record that could not be processed: text of ours, so longer than a value."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that a record broke.

    ``message`` is a template with ``{field}`` and ``{value}``; ``kind`` is the kind of a rating exception (1 to 7, see
    ``RATING_KINDS``) and 0 for an import exception.
    """

    id: int
    name: str
    message: str
    kind: int = 0


RATING_KINDS: dict[int, str] = {
    1: "No UDR Usage Identifier match",
    2: "UDR time does not match time period of UDR Usage Identifier",
    3: "Usage Rate Plan not defined for Account Service or Usage Rate Plan Inheritance Hierarchy",
    4: "Usage Rate Group matching UDR not found",
    5: "Usage Rate matching UDR not found",
    6: "Final Usage Bill issued",
    7: "Software System Error",
}

IMPORT_REASONS: tuple[Reason, ...] = (
    # the row as text
    Reason(1101, "row_must_not_contain_nul", "the row contains a NUL character"),
    Reason(1102, "row_must_not_contain_lone_surrogates", "the row contains half of a surrogate pair"),
    Reason(1103, "row_must_be_one_line", "the row has a line break outside quotes"),
    Reason(1104, "quote_must_be_closed", "a quote is opened and not closed"),
    Reason(1105, "quote_must_enclose_the_field", "a quoted field goes on after its closing quote"),
    Reason(1106, "row_has_too_few_fields", "the row has {value} fields, the profile has more"),
    Reason(1107, "row_has_too_many_fields", "the row has {value} fields, the profile has fewer"),
    Reason(1108, "row_must_be_a_json_object", "the row is not one JSON object"),
    Reason(1109, "key_must_be_known", "'{value}' is not a field of the profile"),
    Reason(
        1110,
        "field_must_not_be_too_long",
        "the text, as sent or as the profile transforms it, is longer than {value} characters; shorten it or correct the "
        "profile, then resubmit the row",
    ),
    Reason(
        1111,
        "row_must_not_be_nested_too_deeply",
        "the row nests objects and lists deeper than {value} levels; flatten it, then resubmit the row",
    ),
    # fields and transforms
    Reason(1201, "field_is_required", "a value is required"),
    Reason(1202, "value_must_be_a_date", "'{value}' is not a date"),
    Reason(1203, "value_must_be_a_number", "'{value}' is not a number"),
    Reason(1204, "quantity_has_too_many_places", "'{value}' has too many decimal places"),
    Reason(1205, "quantity_has_too_many_digits", "'{value}' has too many digits"),
    Reason(1206, "quantity_must_not_be_negative", "'{value}' is negative and the profile allows no credits"),
    Reason(1207, "value_must_be_true_or_false", "'{value}' is neither true nor false"),
    Reason(1208, "formula_must_have_a_result", "the formula has no result for this row"),
    Reason(1209, "value_must_be_in_map", "'{value}' is not among the values of the map"),
    Reason(1210, "match_not_found", "could not find a match for '{value}'"),
    Reason(1211, "value_must_be_a_time", "'{value}' is not a time of day"),
    Reason(1212, "usage_class_not_found", "there is no usage class '{value}'"),
    Reason(1213, "characteristic_item_not_found", "no item of the characteristic has the id '{value}'"),
    # the record as a whole
    Reason(1301, "older_than_duplicate_window", "the usage date is older than the duplicate window of {value} days"),
    Reason(
        1302, "another_row_of_the_request_was_refused", "the profile takes a request whole, and row {value} was refused"
    ),
    Reason(1901, "could_not_be_processed", "mediation failed on this row: {value}"),
)

RATING_REASONS: tuple[Reason, ...] = (
    Reason(2101, "identifier_not_found", "No service has the identifier '{value}'.", 1),
    Reason(2102, "identifier_is_ambiguous", "More than one service has the identifier '{value}'.", 1),
    Reason(2201, "identifier_not_valid_on_usage_date", "The identifier '{value}' is not valid on the usage date.", 2),
    Reason(2202, "service_not_active_on_usage_date", "The service '{value}' is not active on the usage date.", 2),
    Reason(2203, "account_not_active_on_usage_date", "The account '{value}' has not begun on the usage date.", 2),
    Reason(2204, "account_closed_on_usage_date", "The account '{value}' is closed on the usage date.", 6),
    Reason(2301, "rate_plan_not_found", "Neither the service, its accounts nor the owner has a rate plan.", 3),
    Reason(2401, "rate_group_not_found_in_currency", "The rate plan has no group in {value}.", 4),
    Reason(
        2402, "rate_group_not_effective_on_usage_date", "No group of the rate plan is effective on the usage date.", 4
    ),
    Reason(2501, "rate_not_found_for_usage_class", "No group has a rate for the usage class '{value}'.", 5),
    Reason(2502, "location_not_found", "No location has a pattern that '{value}' begins with.", 5),
    Reason(2503, "rate_not_found_for_location", "No group has a rate for the location '{value}' or its parents.", 5),
    Reason(2504, "rate_not_effective_on_usage_date", "No rate is effective on the usage date.", 5),
    Reason(2505, "quantity_is_too_large_to_rate", "The amount for the quantity '{value}' has too many digits.", 5),
    Reason(2901, "could_not_be_processed", "Rating failed on this record: {value}", 7),
)

BY_ID: dict[int, Reason] = {reason.id: reason for reason in IMPORT_REASONS + RATING_REASONS}
IMPORT: dict[str, Reason] = {reason.name: reason for reason in IMPORT_REASONS}
RATING: dict[str, Reason] = {reason.name: reason for reason in RATING_REASONS}


def message_of(reason_id: int, field: str | None, value: object) -> str:
    """Return the message of a broken rule, with field and value filled in as messages show them."""
    return filled(BY_ID[reason_id], field, value)


def filled(reason: Reason, field: str | None, value: object) -> str:
    """Return the message of a reason, its field and value visible and cut where they are long."""
    text = shown("" if value is None else value, shown_chars_max(reason))
    return reason.message.format(field=shown(field or ""), value=text)


def shown_chars_max(reason: Reason) -> int:
    """Return after how many characters the message of a reason cuts its value."""
    return _FAILURE_CHARS_MAX if reason.name == "could_not_be_processed" else SHOWN_CHARS_MAX


def row_message(row_index: int, reason_id: int, field: str | None, value: object) -> str:
    """Return the message of a rule that a row broke, as a sentence that names row, field and value."""
    place = f"Row {row_index}" if field is None else f"Row {row_index}, field {shown(field)}"
    return f"{place}: {message_of(reason_id, field, value)}."
