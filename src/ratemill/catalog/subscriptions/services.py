"""Subscriptions become accounts, services and identifiers, in bulk, as any other change of the set-up.

An account bears the subscription's account_id as its name, or ``ACCOUNT_ID CURRENCY`` where that name is of another
currency. A service bears the subscription's reference, else its id; both are its identifiers, of the type Unknown, for
usage that carries a reference seldom says what kind of reference it is. A text that no identifier can be (too long, or
blank) is left out: the id alone remains. What a subscription was is ended, never deleted: its charges stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from ratemill.setup.declaration import NAME_CHARS_MAX
from ratemill.setup.objects.accounts import OBJECT as ACCOUNTS
from ratemill.setup.objects.identifiers import OBJECT as IDENTIFIERS
from ratemill.setup.objects.services import OBJECT as SERVICES
from ratemill.setup.world import Row
from ratemill.setup.writing.changes import Author, Via
from ratemill.setup.writing.rows import RowChanges, RowWriter
from ratemill.store import owners
from ratemill.store.connections import Connection, clock
from ratemill.store.subscriptions import services as subscription_services
from ratemill.store.subscriptions.services import ServiceTerms, SubscriptionService
from ratemill.subscription_objects import SubscriptionTerms
from ratemill.texts import is_storable
from ratemill.visible import shown

SHORTEST = timedelta(milliseconds=1)  # a service that ends before it began lasts this long: a span has a length
_UNKNOWN = "Unknown"
_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_SPAN = ("start_at", "end_at")
_OF_IDENTIFIER = ("identifier_id", "usage_identifier", "identifier_type_id", "service_id", *_SPAN)


class ActiveSubscription(NamedTuple):
    """An active subscription that needs a service, or whose service must change."""

    object_number: int
    object_id: UUID
    external_ref: str | None
    terms: SubscriptionTerms


@dataclass(frozen=True, slots=True)
class ServiceOutcome:
    """What active subscriptions became: the services that are new to them, and what is wrong with others, by object number.

    What is wrong: an identifier of the subscription is another service's at that time. For such a one nothing is made.
    """

    service_of: dict[int, int]
    faults: dict[int, str]


def make_services(
    connection: Connection, owner_id: int, live: Sequence[ActiveSubscription], *, made_by: str, via: Via = "import"
) -> ServiceOutcome:
    """Make what active subscriptions are rated by, or bring it in line with them; that they became it is not written here.

    A subscription that has a service keeps it: span, identifiers and references follow the subscription. One that passes to
    another account or currency gets a new service there from now on, and the old one ends.

    Holds the owner's price book from here on, as every change of the set-up.
    """
    if not live:
        return ServiceOutcome({}, {})
    return _ServiceWriter(connection, owner_id, Author(made_by, via)).run(live)


def end_services(
    connection: Connection,
    owner_id: int,
    object_numbers: Sequence[int],
    at: datetime,
    *,
    made_by: str,
    via: Via = "import",
) -> None:
    """End the services of subscriptions with their identifiers; one that has ended before stays as it is.

    An identifier that would begin later goes. To be called before the rows of ``subscriptions`` are deleted.
    """
    if not object_numbers:
        return
    _ServiceWriter(connection, owner_id, Author(made_by, via)).end(object_numbers, at)


def reprocess_waiting(connection: Connection, owner_id: int, import_number: int, *, ordered_by: str) -> int | None:
    """Order to rate anew what waits for an identifier that an import brought; return the first order, None if none waits.

    To be called when all of an import is written, in a transaction that is short from here on: usage that was rated before
    the import is waited for, so that none of it is left waiting.
    """
    owners.wait_for_usage(connection, owner_id, accepts=False)
    orders = subscription_services.order_waiting(connection, owner_id, import_number, created_by=ordered_by)
    return orders[0] if orders else None


def identifiers_of(external_ref: str | None, object_id: UUID) -> tuple[str, ...]:
    """Return the texts by which usage names a subscription, the one that names its service first."""
    return tuple(dict.fromkeys(each for each in (external_ref, str(object_id)) if each and _may_identify(each)))


def _may_identify(text: str) -> bool:
    return is_storable(text, NAME_CHARS_MAX) and bool(text.strip())


class _Span(NamedTuple):
    """A stretch of time for which one holder has an identifier: a stored service, or a subscription in hand."""

    start_at: datetime | None
    end_at: datetime | None
    service_id: int | None = None
    object_number: int | None = None

    def meets(self, other: _Span) -> bool:
        """Whether the two have an instant in common, and are not one and the same holder's."""
        same = self.service_id is not None and self.service_id == other.service_id
        return not same and _begins(self) < _ends(other) and _begins(other) < _ends(self)


class _ServiceWriter:
    """What one call makes, changes, ends: gathered first, then written in bulk."""

    def __init__(self, connection: Connection, owner_id: int, author: Author) -> None:
        self._connection, self._owner_id = connection, owner_id
        self._rows = RowWriter(connection, owner_id, author)
        self._now = clock(connection)
        self._unknown = self._identifier_type()
        self._accounts = RowChanges(ACCOUNTS, ("name", "currency"))
        self._services = RowChanges(SERVICES, ("account_id", "name", *_SPAN), _SPAN)
        self._identifiers = RowChanges(IDENTIFIERS, _OF_IDENTIFIER[1:], _SPAN)
        self._texts: dict[int, tuple[str, ...]] = {}
        self._faults: dict[int, str] = {}

    def run(self, live: Sequence[ActiveSubscription]) -> ServiceOutcome:
        """Make or change what all of these need."""
        self._texts = {each.object_number: identifiers_of(each.external_ref, each.object_id) for each in live}
        numbers = list(self._texts)
        held = {each.object_number: each for each in subscription_services.held(self._connection, numbers)}
        account_of = self._account_of(self._without_clash(live, held))
        fresh, following, moved = [], [], []
        for each in live:
            account_id, service = account_of.get(each.object_number), held.get(each.object_number)
            if service is not None and service.account_id == account_id:
                following.append((each, service))
            elif account_id is not None:
                moved += [] if service is None else [service]
                fresh.append(each if service is None else _not_before(each, self._now))
        self._end_at(moved, self._now)
        self._follow(following)
        service_of = self._make([each for each in fresh if _has_length(each)], account_of)
        self._write()
        new = [self._kept(each, service_of[each.object_number]) for each in live if each.object_number in service_of]
        subscription_services.keep_new(self._connection, new)
        still = [self._kept(each, service.service_id) for each, service in following]
        self._raise_version(is_due=subscription_services.keep(self._connection, still) > 0)
        return ServiceOutcome(service_of, self._faults)

    def _kept(self, live: ActiveSubscription, service_id: int) -> ServiceTerms:
        return ServiceTerms(
            service_id=service_id,
            owner_id=self._owner_id,
            subscription_id=live.object_id,
            external_ref=live.external_ref,
            plan_external_ref=live.terms.plan_external_ref,
            offering_external_ref=live.terms.offering_external_ref,
        )

    def end(self, object_numbers: Sequence[int], at: datetime) -> None:
        """End the services of these subscriptions."""
        self._end_at(subscription_services.held(self._connection, object_numbers), at)
        self._write()
        self._raise_version()

    def _raise_version(self, *, is_due: bool = False) -> None:
        if is_due or self._accounts or self._services or self._identifiers:
            self._rows.raise_version(subscriptions=is_due)

    def _identifier_type(self) -> int:
        (row,) = self._rows.read("identifier_types", ("identifier_type_id",), {"name": [_UNKNOWN]})
        return int(row["identifier_type_id"])

    # what each subscription needs

    def _without_clash(
        self, live: Sequence[ActiveSubscription], held: dict[int, SubscriptionService]
    ) -> list[ActiveSubscription]:
        """Return those whose identifiers nobody else has at their time, the first of several that want one."""
        spans: defaultdict[str, list[_Span]] = defaultdict(list)
        for row in self._rows.read("identifiers", _OF_IDENTIFIER, {"usage_identifier": _all(self._texts.values())}):
            if row["identifier_type_id"] == self._unknown:
                spans[row["usage_identifier"]].append(_Span(row["start_at"], row["end_at"], row["service_id"]))
        sound, clashes = [], []
        for each in live:
            service = held.get(each.object_number)
            span = each.terms.started_at, each.terms.ended_at
            own = _Span(*span, service.service_id if service else None, each.object_number)
            texts = self._texts[each.object_number] if _has_length(each) else ()
            shared = [text for text in texts if text in spans]
            met = [(text, other) for text in shared for other in spans[text] if own.meets(other)]
            if met:
                clashes.append((each, *met[0]))
                continue
            sound.append(each)
            for text in texts:
                spans[text].append(own)
        self._report(clashes)
        return sound

    def _report(self, clashes: list[tuple[ActiveSubscription, str, _Span]]) -> None:
        named = subscription_services.named(
            self._connection, [other.service_id for _, _, other in clashes if other.service_id is not None]
        )
        for each, text, other in clashes:
            service = named.get(other.service_id or 0)
            whose = (
                f"the service '{shown(service.service)}' of the account '{shown(service.account)}'"
                if service
                else "another subscription"
            )
            self._faults[each.object_number] = f"the identifier '{shown(text)}' belongs to {whose} at that time"

    def _account_of(self, live: list[ActiveSubscription]) -> dict[int, int]:
        """Return the account of each subscription by object number; those that are not there are made."""
        plain, other = ([name(each) for each in live] for name in (_account_name, _account_name_with_currency))
        rows = self._rows.read("accounts", ("account_id", "name", "currency"), {"name": _all([plain, other])})
        currency_of = {row["name"]: row["currency"] for row in rows}
        name_of: dict[int, str] = {}
        for each, name, longer in zip(live, plain, other, strict=True):
            currency = each.terms.currency
            if currency_of.setdefault(name, currency) == currency:
                name_of[each.object_number] = name
            elif currency_of.setdefault(longer, currency) == currency:
                name_of[each.object_number] = longer
            else:
                message = f"the accounts '{shown(name)}' and '{shown(longer)}' have another currency than {currency}"
                self._faults[each.object_number] = message
        identity_of = {row["name"]: row["account_id"] for row in rows}
        new = [name for name in dict.fromkeys(name_of.values()) if name not in identity_of]
        for name, identity in zip(new, self._rows.identities(ACCOUNTS, len(new)), strict=True):
            identity_of[name] = identity
            self._accounts.new.append({"account_id": identity, "name": name, "currency": currency_of[name]})
        return {number: identity_of[name] for number, name in name_of.items()}

    def _make(self, live: list[ActiveSubscription], account_of: dict[int, int]) -> dict[int, int]:
        """Add services and identifiers; return the service of each subscription."""
        names = self._free_names(live, account_of)
        services = self._rows.identities(SERVICES, len(live))
        for each, name, service_id in zip(live, names, services, strict=True):
            span = {"start_at": each.terms.started_at, "end_at": each.terms.ended_at}
            account_id = account_of[each.object_number]
            self._services.new.append({"service_id": service_id, "account_id": account_id, "name": name, **span})
            for text in self._texts[each.object_number]:
                self._identify(text, service_id, span)
        return dict(zip((each.object_number for each in live), services, strict=True))

    def _identify(self, text: str, service_id: int, span: Row) -> None:
        row = {"usage_identifier": text, "identifier_type_id": self._unknown, "service_id": service_id, **span}
        self._identifiers.new.append(row)

    def _free_names(self, live: list[ActiveSubscription], account_of: dict[int, int]) -> list[str]:
        """Return a name for the service of each, unlike any other of its account."""
        accounts = [account_of[each.object_number] for each in live]
        wished = [self._texts[each.object_number][0] for each in live]
        rows = self._rows.read("services", ("account_id", "name"), {"account_id": list(accounts), "name": list(wished)})
        taken = {(row["account_id"], row["name"]) for row in rows}
        names = []
        for each, account_id, wish in zip(live, accounts, wished, strict=True):
            name = wish if (account_id, wish) not in taken else _unlike(wish, each.object_id)
            taken.add((account_id, name))
            names.append(name)
        return names

    def _follow(self, following: list[tuple[ActiveSubscription, SubscriptionService]]) -> None:
        """Let services and their identifiers be as their subscriptions say now."""
        by_service: defaultdict[int, defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self._identifiers_of([service.service_id for _, service in following]):
            if row["identifier_type_id"] == self._unknown:
                by_service[row["service_id"]][row["usage_identifier"]].append(row)
        for each, service in following:
            span = {"start_at": each.terms.started_at, "end_at": each.terms.ended_at}
            if (service.start_at, service.end_at) != (each.terms.started_at, each.terms.ended_at):
                self._services.changed[service.service_id] = span
            known, wanted = by_service[service.service_id], self._texts[each.object_number]
            for text in wanted:
                if text not in known:
                    self._identify(text, service.service_id, span)
                elif len(known[text]) == 1 and any(known[text][0][name] != span[name] for name in _SPAN):
                    self._identifiers.changed[known[text][0]["identifier_id"]] = span
            if service.external_ref is not None and service.external_ref not in wanted:
                self._end_identifiers(known.get(service.external_ref, ()), self._now)

    def _end_at(self, held: Iterable[SubscriptionService], at: datetime) -> None:
        ending = [each for each in held if each.end_at is None or each.end_at > at]
        for each in ending:
            end = at if each.start_at is None else max(at, each.start_at + SHORTEST)
            self._services.changed[each.service_id] = {"start_at": each.start_at, "end_at": end}
        self._end_identifiers(self._identifiers_of([each.service_id for each in ending]), at)

    def _end_identifiers(self, rows: Iterable[Row], at: datetime) -> None:
        for row in rows:
            if row["start_at"] is not None and row["start_at"] >= at:
                self._identifiers.gone.append(row["identifier_id"])
            elif row["end_at"] is None or row["end_at"] > at:
                self._identifiers.changed[row["identifier_id"]] = {"start_at": row["start_at"], "end_at": at}

    def _identifiers_of(self, service_ids: list[int]) -> list[Row]:
        return self._rows.read("identifiers", _OF_IDENTIFIER, {"service_id": list(service_ids)}) if service_ids else []

    def _write(self) -> None:
        identities = self._rows.identities(IDENTIFIERS, len(self._identifiers.new))
        for row, identity in zip(self._identifiers.new, identities, strict=True):
            row["identifier_id"] = identity
        self._rows.write((self._accounts, self._services, self._identifiers))


def _account_name(subscription: ActiveSubscription) -> str:
    return str(subscription.terms.account_id)


def _account_name_with_currency(subscription: ActiveSubscription) -> str:
    return f"{subscription.terms.account_id} {subscription.terms.currency}"


def _unlike(name: str, object_id: UUID) -> str:
    longer = f"{name} {object_id}"
    return longer if len(longer) <= NAME_CHARS_MAX else str(object_id)


def _not_before(subscription: ActiveSubscription, at: datetime) -> ActiveSubscription:
    terms = subscription.terms
    return subscription._replace(terms=terms._replace(started_at=max(terms.started_at or at, at)))


def _has_length(subscription: ActiveSubscription) -> bool:
    started_at, ended_at = subscription.terms.started_at, subscription.terms.ended_at
    return started_at is None or ended_at is None or started_at < ended_at


def _begins(span: _Span) -> datetime:
    return _EVER if span.start_at is None else span.start_at


def _ends(span: _Span) -> datetime:
    return _NEVER if span.end_at is None else span.end_at


def _all(lists: Iterable[Iterable[str]]) -> list[object]:
    """Return what is in any of the lists, once."""
    return list(dict.fromkeys(each for one in lists for each in one))
