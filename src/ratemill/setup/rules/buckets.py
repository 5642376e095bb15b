"""The rules of bucket bases, usage buckets and their attachments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from ratemill.money import decimal_within, plain
from ratemill.setup.declaration import Entry, Finding, Member, MemberKind
from ratemill.setup.nodes import ScalarForm
from ratemill.setup.rules.findings import Findings, ListRule
from ratemill.setup.rules.spans import overlapping
from ratemill.setup.rules.units import quantity_fits
from ratemill.setup.values import InvalidValue, read_value
from ratemill.setup.world import Row, World
from ratemill.visible import shown

STEPS_MAX = 100  # steps of a bucket: more are a mistake


def mark_retired(entry: Entry, world: World) -> Findings:
    """Mark the end of a base that is retired, and clear it of one that is so no longer.

    A base that becomes retired ends now, by the database's clock, unless the same write gives a date; a retired base keeps
    its mark. One that is taken back has no end, unless the write gives another than the mark. Never finds a fault.
    """
    row, stored = entry.row, entry.stored or {}
    was_retired = bool(stored.get("retired"))
    given = entry.given.get("end_at")
    if row["retired"] and not was_retired:
        row["end_at"] = given or world.now()
    elif row["retired"] and row["end_at"] is None:
        row["end_at"] = stored["end_at"]
    elif was_retired and not row["retired"] and given in (None, stored["end_at"]):
        row["end_at"] = None
    yield from ()


def base_unit_in_use(entry: Entry, world: World) -> Findings:
    """Keep the base unit of a base that has rows or is drawn on: their quantities would mean something else."""
    if entry.stored is None or "base_unit_id" not in entry.changes:
        return
    for table, noun in (("bucket_base_details", "rows"), ("buckets_bases", "buckets")):
        if world.stored_rows(table, ("bucket_base_id",), "bucket_base_id", [entry.identity]):
            unit = world.name("usageBaseUnits", entry.stored["base_unit_id"])
            yield (
                "usageBucketBaseUnitName",
                f"'{shown(entry.row['name'])}' has {noun}, so that its base unit stays {unit}",
            )
            return


def class_counts_as_base(entry: Entry, world: World) -> Findings:
    """Hold the class of a row to the base unit of the base."""
    base = world.row("usageBucketBases", entry.row["bucket_base_id"])
    usage_class = world.row("usageClasses", entry.row["usage_class_id"])
    if base is None or usage_class is None or not {"base_unit_id"} <= base.keys() & usage_class.keys():
        return
    if base["base_unit_id"] != usage_class["base_unit_id"]:
        theirs, mine = (world.name("usageBaseUnits", each["base_unit_id"]) for each in (usage_class, base))
        yield "usageClassName", f"the usage class '{shown(usage_class['name'])}' counts {theirs}, the base {mine}"


# Buckets


def check_steps(entry: Entry, _world: World) -> Findings:
    """Hold the steps of a bucket to their form, and keep them in one form: ``{upTo, flat}``, both as texts."""
    steps = entry.row["document"].get("steps")
    if steps is None:
        return
    if not isinstance(steps, list) or not 0 < len(steps) <= STEPS_MAX:
        yield "steps", f"a list of 1 to {STEPS_MAX} steps is expected: {{upTo, flat}}"
        return
    read = [_BucketStep({}, [], f"steps[{at}]").read(step) for at, step in enumerate(steps)]
    faults = [fault for step in read for fault in step.faults] or list(_not_ascending(read))
    yield from faults
    if not faults:
        entry.row["document"] = {
            "steps": [{"upTo": plain(each.members["upTo"]), "flat": plain(each.members["flat"])} for each in read]
        }


@dataclass(slots=True)
class _BucketStep:
    members: dict[str, Decimal]
    faults: list[tuple[str, str]]
    path: str

    def read(self, step: object) -> _BucketStep:
        if not isinstance(step, dict):
            self.faults.append((self.path, "a mapping of upTo and flat is expected"))
            return self
        for name in step:
            if name not in _STEP:
                self.faults.append((f"{self.path}.{name}", f"there is no member '{shown(name)}' in a step"))
        for name, member in _STEP.items():
            self._read_member(member, step.get(name))
        return self

    def _read_member(self, member: Member, value: object) -> None:
        if value is None and not member.required:
            self.members[member.name] = Decimal(0)
        elif value is None or isinstance(value, dict | list):
            self.faults.append((f"{self.path}.{member.name}", "one value is required"))
        else:
            try:
                self.members[member.name] = read_value(member, str(value), ScalarForm.ANY)
            except InvalidValue as error:
                self.faults.append((f"{self.path}.{member.name}", str(error)))


_STEP = {
    "upTo": Member("upTo", "up_to", MemberKind.QUANTITY, required=True, least=0),
    "flat": Member("flat", "flat", MemberKind.PRICE, least=0),
}


def _not_ascending(steps: list[_BucketStep]) -> Findings:
    before = Decimal(0)
    for step in steps:
        up_to = step.members["upTo"]
        if up_to <= before:
            yield f"{step.path}.upTo", f"'{plain(up_to)}' is not more than {plain(before)}, where the step begins"
        before = up_to


def size_or_steps(entry: Entry, _world: World) -> Findings:
    """Hold a bucket to a size or to steps, and the repeated last step to steps."""
    steps, size = entry.row["document"].get("steps"), entry.row["size"]
    if (size is None) == (steps is None):
        yield "size", "a bucket has a size or steps: one of the two"
    elif size is not None and not size:
        yield "size", "must be more than 0"
    if steps is None and entry.row["is_infinite_last_tier"]:
        yield "isInfiniteLastTier", "there are no steps whose last could repeat"


def base_needed_and_not_retired(entry: Entry, world: World) -> Findings:
    """Hold a bucket of units to at least one base, and any bucket to bases that were not retired when it chose them."""
    bases = entry.row["base_ids"] or ()
    if not bases and entry.row["currency"] is None:
        yield "usageBucketBaseNames", "is required: only a bucket of money goes without a base"
    chosen = (entry.stored or {}).get("base_ids") or ()
    for at, base_id in enumerate(bases):
        base = world.row("usageBucketBases", base_id)
        if base is not None and base.get("retired") and base_id not in chosen:
            yield f"usageBucketBaseNames[{at}]", f"the bucket base '{shown(base['name'])}' is retired"


def bases_count_alike(entry: Entry, world: World) -> Findings:
    """Hold the bases of a bucket, and the unit of its size, to one base unit."""
    rows = [world.row("usageBucketBases", base_id) for base_id in entry.row["base_ids"] or ()]
    bases = [row for row in rows if row is not None and "base_unit_id" in row]
    if not bases:
        return
    first, mine = bases[0], world.name("usageBaseUnits", bases[0]["base_unit_id"])
    for base in bases[1:]:
        if base["base_unit_id"] != first["base_unit_id"]:
            theirs = world.name("usageBaseUnits", base["base_unit_id"])
            yield "usageBucketBaseNames", f"'{shown(base['name'])}' counts {theirs}, '{shown(first['name'])}' {mine}"
            return
    unit = world.row("usageUnits", entry.row["usage_unit_id"])
    if unit is not None and unit.get("base_unit_id") not in (None, first["base_unit_id"]):
        theirs = world.name("usageBaseUnits", unit["base_unit_id"])
        yield "usageUnitName", f"'{shown(unit['name'])}' counts {theirs}, not {mine}"


def money_without_unit(entry: Entry, _world: World) -> Findings:
    """Keep units from a bucket of money."""
    if entry.row["currency"] is not None and entry.row["usage_unit_id"] is not None:
        yield "usageUnitName", f"the bucket holds {entry.row['currency']}, not units"


def bucket_amounts_fit(entry: Entry, world: World) -> Findings:
    """Hold size, steps and increment, told in base units, to the digits of a quantity; an increment is more than 0."""
    unit = world.row("usageUnits", entry.row["usage_unit_id"])
    multiplier = unit["multiplier"] if unit is not None and "multiplier" in unit else Decimal(1)
    steps = entry.row["document"].get("steps")
    numbers = [("size", entry.row["size"]), ("increment", entry.row["increment"])]
    for name, number in numbers:
        if number is not None and not quantity_fits(number * multiplier):
            yield name, f"'{plain(number)}' is too large in the base unit"
    last = _last_up_to(steps)
    if last is not None and not quantity_fits(last * multiplier):
        yield f"steps[{len(steps) - 1}].upTo", f"'{plain(last)}' is too large in the base unit"
    if entry.row["increment"] is not None and not entry.row["increment"]:
        yield "increment", "must be more than 0"


def _last_up_to(steps: object) -> Decimal | None:
    """Return where the last step ends, if the steps are what they should be; else another rule says so."""
    if not isinstance(steps, list) or not steps or not isinstance(steps[-1], dict):
        return None
    return decimal_within(str(steps[-1].get("upTo")))


def frequency_in_pairs(entry: Entry, _world: World) -> Findings:
    """Hold a frequency to its unit and the unit to its frequency."""
    for name, column in (
        ("refillFrequency", "refill_frequency"),
        ("expireAfterFrequency", "expire_after_frequency"),
    ):
        given = entry.row[column], entry.row[f"{column}_type"]
        if (given[0] is None) != (given[1] is None):
            missing = name if given[0] is None else f"{name}TypeName"
            yield missing, f"{name} and {name}TypeName are set together"


def refill_of_its_type(entry: Entry, _world: World) -> Findings:
    """Keep a frequency of refills from a bucket that is filled once."""
    if entry.row["refill"] == "once" and entry.row["refill_frequency"] is not None:
        yield "refillFrequency", "the bucket is filled once"


def overage_at_the_rate(entry: Entry, _world: World) -> Findings:
    """Hold a plan for overage to buckets whose rest goes straight to the rate."""
    if entry.row["overage_rate_plan_id"] is not None and entry.row["when_empty"] != "rate":
        yield "overageUsageRatePlanName", "what is over goes to a plan only if whenEmpty is rate"


def debt_in_money_only(entry: Entry, _world: World) -> Findings:
    """Keep a bucket of units from going below zero."""
    if entry.row["may_owe"] and entry.row["currency"] is None:
        yield "mayOwe", "only a bucket of money may go below zero"


# Attachments


def attached_once(holder: str) -> ListRule:
    """Return the rule that one holder has a bucket once at any instant."""

    def check(entries: list[Entry], world: World) -> Iterator[Finding]:
        for entry, other in overlapping(entries, world, (holder, "bucket_id")):
            name = world.name("usageBuckets", entry.row["bucket_id"])
            yield entry, "start", f"the bucket '{shown(name)}' is there already at that time: see {other}"

    return check


def currency_of_account(entry: Entry, world: World) -> Findings:
    """Hold a bucket of money to the currency of the account."""
    bucket = world.row("usageBuckets", entry.row["bucket_id"])
    service = world.row("accountServices", entry.row.get("service_id"))
    account = world.row("accounts", entry.row.get("account_id") if service is None else service.get("account_id"))
    if bucket is None or account is None or bucket.get("currency") in (None, account.get("currency")):
        return
    mine = f"the account '{shown(account['name'])}' is in {account.get('currency')}"
    yield "usageBucketName", f"the bucket '{shown(bucket['name'])}' holds {bucket['currency']}, {mine}"


def account_keeps_currency_of_buckets(entry: Entry, world: World) -> Findings:
    """Keep the currency of an account that money buckets are attached to, or to one of its services."""
    if entry.stored is None or "currency" not in entry.changes:
        return
    services = world.rows["accountServices"]
    service_ids = {
        row["service_id"]
        for row in world.stored_rows("services", ("service_id",), "account_id", [entry.identity])
        if services.get(row["service_id"], {}).get("account_id", entry.identity) == entry.identity
    }
    attached = _attached(world, ACCOUNTS, {entry.identity}) | _attached(world, SERVICES, service_ids)
    for bucket in _of_another_currency(world, attached, entry.row["currency"]):
        yield "currencyName", f"the bucket '{shown(bucket['name'])}' is attached, and holds {bucket['currency']}"


def service_keeps_currency_of_buckets(entry: Entry, world: World) -> Findings:
    """Keep a service that money buckets are attached to from an account in another currency."""
    account = world.row("accounts", entry.row["account_id"])
    if entry.stored is None or "account_id" not in entry.changes or account is None or "currency" not in account:
        return
    for bucket in _of_another_currency(world, _attached(world, SERVICES, {entry.identity}), account["currency"]):
        words = f"the account '{shown(account['name'])}' is in {account['currency']}"
        yield (
            "accountName",
            f"the bucket '{shown(bucket['name'])}' is attached, and holds {bucket['currency']}: {words}",
        )


# Of each kind of attachment: list, table, identity, and the column of whom it is attached to.
ACCOUNTS = ("accountUsageBuckets", "account_buckets", "account_bucket_id", "account_id")
SERVICES = ("accountServiceUsageBuckets", "service_buckets", "service_bucket_id", "service_id")


def _attached(world: World, kind: tuple[str, str, str, str], holder_ids: set[int]) -> set[int]:
    """Return the stored buckets that will still be attached to these; new attachments meet a rule of their own."""
    list_name, table, identity, holder = kind
    stored = world.stored_rows(table, (identity, holder, "bucket_id"), holder, holder_ids)
    rows = [world.rows[list_name].get(row[identity], row) for row in stored]
    return {row["bucket_id"] for row in rows if row[holder] in holder_ids}


def _of_another_currency(world: World, bucket_ids: set[int], currency: str) -> list[Row]:
    rows = world.stored_rows("buckets", ("name", "currency"), "bucket_id", bucket_ids)
    return sorted((row for row in rows if row["currency"] not in (None, currency)), key=lambda row: str(row["name"]))


def not_drawn_on_yet(entries: list[Entry], _world: World) -> Iterator[Finding]:
    """Warn that what is attached changes no charge yet."""
    for entry in entries:
        yield entry, "usageBucketName", "buckets are not drawn on yet: charges are as without it"
