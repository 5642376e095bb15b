"""Small raw tables and profiles for the tests of mediation."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import polars as pl

from ratemill.columns import RAW
from ratemill.mediation.mediate import MediationResult, mediate
from ratemill.mediation.profiles.declared import Profile
from ratemill.mediation.profiles.profile import read_profile
from ratemill.reasons import BY_ID

GUIDE_NAMES = [
    "DateTime",
    "UdrIdentifierTypeName",
    "OriginatingIdentifier",
    "TerminatingIdentifier",
    "UdrUsageIdentifier",
    "Value",
    "Inbound",
    "ReverseRating",
    "UsageClassName",
    "UsageClassTypeName",
    "UniquenessIdentifier",
]
GUIDE_ROW = (
    "2022-05-01T01:01:00.01,Unknown,4038675309,4038675345,648-688-4180,94,False,False,data_class,Data_1,"
    "2022-05-01T01:01:00.01"
)
CLASSES = pl.DataFrame(
    {"usage_class": ["data_class", "voice"], "usage_class_id": [7, 8]}, schema_overrides={"usage_class_id": pl.Int32}
)
ACCEPTED_AT = datetime(2022, 5, 2, tzinfo=UTC)


def guide(**members: Any) -> Profile:
    """Return the guide's profile with other members."""
    document = {"name": "guide_csv", "format": "csv", "fields": [{"name": name} for name in GUIDE_NAMES]}
    return read_profile(document | members)


def guide_row(**fields: str) -> str:
    """Return the guide's row with other fields, by their names."""
    texts = dict(zip(GUIDE_NAMES, GUIDE_ROW.split(","), strict=True)) | fields
    return ",".join(texts[name] for name in GUIDE_NAMES)


def short(*fields: dict[str, Any], **members: Any) -> Profile:
    """Return a profile of the four required targets, in the order id, value, date, class, and further fields."""
    required = [{"name": name} for name in ("udrUsageIdentifier", "value", "date", "usageClassName")]
    named = {each["name"]: each for each in fields}
    declared = [named.pop(each["name"], each) for each in required] + list(named.values())
    return read_profile({"name": "short", "format": "csv", "fields": declared} | members)


def raw(texts: Iterable[str], *, objects: bool = False, submission_rows: int = 1_000) -> pl.DataFrame:
    """Return a raw table of these texts, cut into submissions."""
    texts = list(texts)
    return pl.DataFrame(
        {
            "submission_id": [1 + at // submission_rows for at in range(len(texts))],
            "row_index": [1 + at % submission_rows for at in range(len(texts))],
            "batch_id": [17] * len(texts),
            "accepted_at": [ACCEPTED_AT] * len(texts),
            "is_object": [objects] * len(texts),
            "raw": texts,
        },
        schema=RAW,
    )


def mediated(texts: Iterable[str], profile: Profile, *, objects: bool = False, **arguments: Any) -> MediationResult:
    """Mediate texts by a profile."""
    return mediate(raw(texts, objects=objects), profile, usage_classes=CLASSES, **arguments)


def ends(result: MediationResult) -> dict[int, str]:
    """Return what became of each row of a first submission: `usage`, `skipped` or the name of its reason."""
    found = dict.fromkeys(result.usage["row_index"].to_list(), "usage")
    found |= dict.fromkeys(result.skipped["row_index"].to_list(), "skipped")
    refused = result.refused.select("row_index", "reason_id").rows()
    return dict(sorted((found | {row: BY_ID[reason].name for row, reason in refused}).items()))


def fate(text: str, profile: Profile, *, objects: bool = False, **arguments: Any) -> str:
    """Return what becomes of one row."""
    return ends(mediated([text], profile, objects=objects, **arguments))[1]


def faults(result: MediationResult, row: int = 1) -> list[tuple[str, str | None, str | None]]:
    """Return every fault of a row of a first submission: the name of the reason, the field, the value."""
    found = json.loads(result.refused.filter(pl.col("row_index") == row)["faults"][0])
    return [(BY_ID[each["reason"]].name, each["field"], each["value"]) for each in found]
