"""The bench's month: the guide's eleven columns, 20,000 services, 5,000 prefixes; 1 % bad, 1 % duplicate, 1 % unknown."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

SERVICES, PREFIXES, ROWS_A_REQUEST = 20_000, 5_000, 1_000
FIELDS = [
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
FEEDS = {"checked": None, "unchecked": []}  # duplicate key: all mapped targets, or no check
_MONTH_BEGINS = datetime(2026, 5, 1, tzinfo=UTC)
_SECONDS_A_MONTH = 31 * 86_400


def identifier(service: int) -> str:
    """Return the identifier of a service."""
    return f"64868{service:06d}"


def prefixes(rng: random.Random) -> list[str]:
    """Return the prefixes, of one to six digits; every number begins with one."""
    found = set("123456789")
    while len(found) < PREFIXES:
        found.add(str(rng.randrange(10, 10 ** rng.randrange(3, 7))))
    return sorted(found)


def write_set_up(folder: Path) -> Path:
    """Write the set-up document with its lists; return its path."""
    rng = random.Random(1)
    numbers = prefixes(rng)
    _write(folder / "locations.csv", [{"name": f"Zone {n}"} for n in numbers])
    _write(folder / "patterns.csv", [{"name": n, "geoTreeLocationName": f"Zone {n}"} for n in numbers])
    _write(
        folder / "rates.csv",
        [{"geoTreeLocationName": f"Zone {n}", "amount": f"0.{rng.randrange(1, 9999):04d}"} for n in numbers],
    )
    accounts = [f"Account {i:05d}" for i in range(SERVICES)]
    _write(folder / "accounts.csv", [{"name": name} for name in accounts])
    _write(folder / "services.csv", [{"accountName": name, "name": "Line"} for name in accounts])
    _write(
        folder / "identifiers.csv",
        [{"udrUsageIdentifier": identifier(i), "accountName": name} for i, name in enumerate(accounts)],
    )
    rate = {"usageRateGroupName": "World", "usageClassName": "voice", "usageUnitName": "Minutes"}
    document = {
        "ratemill": 1,
        "usageClassTypes": [{"name": "Data_1"}],
        "usageRoundings": [{"name": "60/1", "usageBaseUnitName": "Time", "minimum": "60", "increment": "1"}],
        "usageClasses": [{"name": "voice", "usageBaseUnitName": "Time", "usageRaterTypeName": "GeoTree"}],
        "dataProfiles": [
            {"name": f"{name}_csv", "format": "csv", "fields": [{"name": field} for field in FIELDS]}
            | ({} if key is None else {"duplicateKey": key})
            for name, key in FEEDS.items()
        ],
        "udrFeeds": [{"name": name, "apiName": name, "dataProfileName": f"{name}_csv"} for name in FEEDS],
        "geoTreeLocations": {"csv": "locations.csv"},
        "geoTreeLocationPatterns": {"csv": "patterns.csv"},
        "usageRateGroups": [{"name": "World", "currencyName": "USD", "start": "2000-01-01"}],
        "usageRatePlans": [{"name": "Standard", "usageRateGroupNames": ["World"], "amountPrecision": 6}],
        "usageRates": {
            "csv": "rates.csv",
            "defaults": {**rate, "usageRoundingName": "60/1", "connectionCharge": "0.05"},
        },
        "accounts": {"csv": "accounts.csv", "defaults": {"currencyName": "USD", "usageRatePlanName": "Standard"}},
        "accountServices": {"csv": "services.csv"},
        "usageIdentifiers": {"csv": "identifiers.csv", "defaults": {"accountServiceName": "Line"}},
    }
    path = folder / "month.yaml"
    path.write_text(json.dumps(document).replace('"ratemill": 1', '"ratemill": 1', 1))
    return path


def requests(count: int, *, seed: int) -> list[bytes]:
    """Return the bodies of ``count`` requests of 1,000 records each."""
    rng = random.Random(seed)
    sent: list[str] = []
    return [json.dumps({"data": _rows(rng, sent, seed, number)}).encode() for number in range(count)]


def _rows(rng: random.Random, sent: list[str], seed: int, request: int) -> list[str]:
    """Return the rows of one request; a duplicate repeats any row that was sent before, by this request or another."""
    rows = sent[:0]
    for number in range(ROWS_A_REQUEST):
        kind = rng.randrange(100)
        if kind == 0 and sent:
            rows.append(sent[rng.randrange(len(sent))])
        else:
            rows.append(_row(rng, f"{seed}-{request}-{number}", bad=kind == 1, unknown=kind == 2))
            sent.append(rows[-1])
    return rows


def _row(rng: random.Random, unique: str, *, bad: bool, unknown: bool) -> str:
    at = _MONTH_BEGINS + timedelta(seconds=rng.randrange(_SECONDS_A_MONTH), milliseconds=10 * rng.randrange(100))
    number = identifier(rng.randrange(SERVICES)) if not unknown else f"99999{rng.randrange(1_000_000):06d}"
    return ",".join(
        [
            f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 10_000:02d}",
            "Unknown",
            number,
            str(rng.randrange(10**9, 10**10)),
            number,
            "ninety" if bad else str(rng.randrange(1, 3_600)),
            "False",
            "False",
            "voice",
            "Data_1",
            unique,
        ],
    )


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
