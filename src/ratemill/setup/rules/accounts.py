"""Rules of accounts and what belongs to them, and the time zone in which their bare dates are read."""

from __future__ import annotations

from ratemill.setup.declaration import Entry
from ratemill.setup.rules.findings import Findings
from ratemill.setup.world import World
from ratemill.visible import shown


def account_zone(entry: Entry, world: World) -> str:
    """Return the time zone in which an account's bare dates are read: the one it will have."""
    if entry.given.get("time_zone"):
        return str(entry.given["time_zone"])
    if "time_zone" in entry.given:
        return "UTC"
    stored = entry.stored or world.row("accounts", world.by_key["accounts"].get((entry.given.get("name"),)))
    return stored["time_zone"] if stored is not None and "time_zone" in stored else "UTC"


def zone_of_named_account(entry: Entry, world: World) -> str:
    """Return the time zone of the account that the entry belongs to."""
    account = world.row("accounts", entry.current("account_id"))
    return account.get("time_zone") or "UTC" if account is not None else "UTC"


def account_with_service(entry: Entry, _world: World) -> Findings:
    """Hold a document to naming a service together with its account."""
    if ("account_id" in entry.given) != ("service_id" in entry.given):
        member = "accountServiceName" if "account_id" in entry.given else "accountName"
        yield member, "is required: a service is named with its account"


def currency_of_charged_account(entry: Entry, world: World) -> Findings:
    """Keep the currency of an account that was charged."""
    if entry.stored is None or "currency" not in entry.changes:
        return
    if world.charged_accounts([entry.identity]):
        message = f"'{shown(entry.row['name'])}' has charges, so that its currency stays {entry.stored['currency']}"
        yield "currencyName", message


def one_kind_of_subscription(entry: Entry, _world: World) -> Findings:
    """Hold an entry to one of: subscriptions to a plan, subscriptions to an offering, all others."""
    columns = {"plan_external_ref": "planExternalRef", "offering_external_ref": "offeringExternalRef"}
    named = [member for column, member in columns.items() if entry.row[column] is not None]
    if entry.row["is_default"]:
        named.append("default")
    if len(named) != 1:
        said = f"{' and '.join(named)} are given" if named else "none is given"
        yield (
            "default" if not named else named[0],
            f"one of {', '.join(columns.values())} and default is needed; {said}",
        )
