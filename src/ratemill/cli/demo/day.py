"""The demo's second and third step: a telecom day, one of its calls shown whole, and a cause of exceptions mended."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from time import monotonic

from ratemill.cli.demo.mill import Mill, examples, make_day
from ratemill.cli.demo.shown import Transcript, counts, hold
from ratemill.client.calls import Json
from ratemill.client.usage.importing import UsageImportResult
from ratemill.money import parse_decimal, plain

FEED = "Guide Feed"
SAMPLE_AMOUNT = "1.1562"
MENDED = "identifier_not_found"
PLACES = Decimal("1e-6")  # of the plan's amounts
_SECONDS_A_MINUTE = 60
_REPROCESS_S_MAX = 60.0


def show(transcript: Transcript, mill: Mill) -> None:
    """Import the day, show a call, mend what some calls wait for."""
    outcome = _show_day(transcript, mill)
    lives = list(mill.client.pages(f"/DataImport/History/{outcome.tracking_ids[0]}/Record/Paged", {}))
    _show_sample(transcript, lives[0])
    _show_call(transcript, lives)
    _show_mended(transcript, mill)


def _show_day(transcript: Transcript, mill: Mill) -> UsageImportResult:
    folder = examples() / "telecom"
    day = make_day(mill.home / "day.csv")
    transcript.head(
        "A telecom day: 20,000 rows, priced by the longest prefix",
        f"ratemill apply {folder / 'telecom.yaml'}",
        f"ratemill import usage guideFeed {day}",
    )
    mill.apply(folder / "telecom.yaml")
    begun_at = monotonic()
    outcome = mill.send("guideFeed", day)
    histories = mill.histories(outcome)
    seconds = monotonic() - begun_at
    transcript.facts(
        f"{outcome.records:,} records in {outcome.requests} requests, rated after {seconds:.1f} s", counts(histories)
    )
    return outcome


def _show_sample(transcript: Transcript, life: Json) -> None:
    """Show the printed sample record, which is the first of the day."""
    charge = life["charges"][0]
    hold(charge["amount"] == SAMPLE_AMOUNT, f"request {charge['requestTrackingId']}, row 1: {charge['amount']}")
    transcript.facts(f"the sample record: {charge['value']} x 0.0123 = {charge['amount']} {charge['currencyName']}")


# one call, whole


@dataclass(frozen=True, slots=True)
class _DemoPrices:
    """The price list as its files say it."""

    parents: dict[str, str]
    rates: dict[str, dict[str, str]]

    def place_with_rate(self, place: str) -> str:
        """Return the place, or the nearest parent that has a rate."""
        while place not in self.rates:
            place = self.parents[place]
        return place


def _show_call(transcript: Transcript, lives: list[Json]) -> None:
    """Show a call to a place that takes its parent's price, and work its amount out by hand."""
    prices = _read_prices(examples() / "telecom")
    life = next(life for life in lives if _place(life) and _place(life) not in prices.rates)
    usage, charge = life["udrMediated"], life["charges"][0]
    place = charge["geoTreeLocationName"]
    rate = prices.rates[prices.place_with_rate(place)]
    priced = parse_decimal(charge["value"]) * parse_decimal(rate["amount"]) / _SECONDS_A_MINUTE
    amount = parse_decimal(rate["connectionCharge"]) + priced
    where = f"request {charge['requestTrackingId']}, row {charge['originatingFileRecordIndex']}"
    hold(parse_decimal(charge["amount"]) == amount.quantize(PLACES, ROUND_HALF_UP), f"{where}: {charge['amount']}")
    transcript.head("One call, from its raw row to its amount", f"ratemill trace {usage['udrUsageIdentifier']}")
    transcript.facts(
        f"raw row    {life['dataSnippet']}",
        f"usage      {usage['udrUsageIdentifier']} calls {usage['terminatingIdentifier']} at {usage['date']} for "
        f"{usage['value']} s ({usage['usageClassName']})",
        f"who        {charge['accountName']} / {charge['accountServiceName']}, plan {charge['usageRatePlanName']}, "
        f"group {charge['usageRateGroupName']}",
        f"where      {place}, which has no price of its own: that of {prices.place_with_rate(place)} holds",
        f"how much   {charge['quantity']} s, rounded by 30/6 to {charge['valueActual']} s",
        f"amount     {rate['connectionCharge']} + {charge['value']} s x {rate['amount']} a minute = "
        f"{charge['amount']} {charge['currencyName']}",
    )


def _place(life: Json) -> str | None:
    """Return the place of a rated call."""
    charges = life["charges"] or [{}]
    place: str | None = charges[0].get("geoTreeLocationName")
    return place


def _read_prices(folder: Path) -> _DemoPrices:
    parents = {each["name"]: each["parentGeoTreeLocationName"] for each in _read_list(folder / "locations.csv")}
    rates = {each["geoTreeLocationName"]: each for each in _read_list(folder / "usage_rates.csv")}
    return _DemoPrices(parents, rates)


def _read_list(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# a cause mended


def _show_mended(transcript: Transcript, mill: Mill) -> None:
    """Bring the lines that some calls are of, reprocess these calls, and show one before and after."""
    document = examples() / "telecom" / "late_lines.yaml"
    transcript.head(
        "A cause mended: calls of lines that the set-up did not know",
        f"ratemill apply {document}",
        f"ratemill reprocess --filter reasonName={MENDED}",
    )
    before = _exceptions(mill)
    mill.apply(document)
    criteria = {"search": [{"name": "reasonName", "operator": "eq", "value": MENDED}]}
    schedule = mill.client.reprocess(criteria, _REPROCESS_S_MAX)
    after = _exceptions(mill)
    left = {each["id"] for each in after}
    sent = [each for each in before if each["reasonName"] == MENDED]
    mended = [each for each in sent if each["id"] not in left]
    transcript.facts(
        f"before: {_by_reason(before)}",
        f"reprocessed: sent {schedule['sentCount']}, rated {schedule['ratedCount']}, failed {schedule['failedCount']}",
        f"after:  {_by_reason(after)}",
    )
    hold(schedule["sentCount"] == len(sent), f"{schedule['sentCount']} of {len(sent)} exceptions were sent")
    hold(schedule["ratedCount"] == len(mended), f"{schedule['ratedCount']} rated, {len(mended)} exceptions gone")
    hold(all(each["reasonName"] != MENDED for each in after), f"an exception of {MENDED} is left")
    _show_rated(transcript, mill, mended[0])


def _show_rated(transcript: Transcript, mill: Mill, exception: Json) -> None:
    """Show an exception, and the charge that it became."""
    request, row = exception["requestTrackingId"], exception["originatingFileRecordIndex"]
    found = [each for each in mill.client.charges({"trackingId": request}) if each["originatingFileRecordIndex"] == row]
    hold(len(found) == 1, f"request {request}, row {row} has {len(found)} charges")
    charge = found[0]
    transcript.facts(
        f"such as exception {exception['id']}, before: {exception['message']}",
        f"  after: {plain(parse_decimal(charge['value']))} s to {charge['geoTreeLocationName']}, "
        f"{charge['amount']} {charge['currencyName']} for {charge['accountName']}",
    )


def _exceptions(mill: Mill) -> list[Json]:
    return list(mill.client.pages("/Udr/Usage/Exception/Paged", {"udrFeedName": FEED}))


def _by_reason(exceptions: list[Json]) -> str:
    found = Counter(exception["reasonName"] for exception in exceptions)
    return f"{len(exceptions)} rating exceptions: " + ", ".join(
        f"{name} {count}" for name, count in sorted(found.items())
    )
