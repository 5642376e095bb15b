"""The attributes of each kind of subscription object: what must be there, of what form, and which refer to other objects.

What is not known is passed over, and null is as good as absent. Every fault is found, in the order of the attributes here,
which is also the order in which the reference page names them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions import values
from ratemill.reference.subscriptions.lines import EXTERNAL_REF_CHARS_MAX, Line, LineFault, reference_of, value_kind
from ratemill.reference.subscriptions.values import Form, is_uuid
from ratemill.subscription_objects import ObjectKind

Attributes = dict[str, Value]


class Attribute(NamedTuple):
    """One attribute of a kind."""

    name: str
    form: Form
    required: bool = False


def _references(kind: ObjectKind) -> Form:
    """Return the form of a list that names or brings objects of a kind, one or more."""

    def check(value: Value, at: str) -> Sequence[str]:
        if not isinstance(value, list) or not value:
            what = "an empty list" if isinstance(value, list) else value_kind(value)
            return (f'"{at}" must be a list of one {kind.word} or more, not {what}',)
        found: list[str] = []
        for index, each in enumerate(value):
            if isinstance(each, dict):
                found += (fault.error for fault in _faults(kind, each, prefix=f"{at}[{index}]."))
            elif type(each) is not str:
                found.append(f'"{at}[{index}]" must be an object or the text of a reference, not {value_kind(each)}')
            else:
                found += _REFERENCE(each, f"{at}[{index}]")
        return found

    return check


def _features(value: Value, at: str) -> Sequence[str]:
    if not isinstance(value, list) or not value:
        return (f'"{at}" must be a list of one feature or more, not {value_kind(value)}',)
    return [
        f'"{at}[{index}]" must be an object or the text of a reference, not {value_kind(each)}'
        for index, each in enumerate(value)
        if type(each) is not str and not isinstance(each, dict)
    ]


def _inline_offering(value: Value, at: str) -> Sequence[str]:
    return values.members(value, at, _INLINE_OFFERING)


_REFERENCE = values.text(1, EXTERNAL_REF_CHARS_MAX)
_TEXT = values.text()
_EXTERNAL_REF = Attribute("external_ref", values.external_ref)
_NAME = Attribute("name", values.name, required=True)
_DESCRIPTION = Attribute("description", _TEXT)
_EMAIL = Attribute("email", values.email, required=True)
_ACCOUNT = Attribute("account_id", values.uuid, required=True)
_PAYMENT = Attribute("payment_authority", values.payment_authority)
_INLINE_OFFERING = (_EXTERNAL_REF, _NAME, _DESCRIPTION)

ATTRIBUTES: dict[ObjectKind, tuple[Attribute, ...]] = {
    ObjectKind.PRODUCT: (
        _EXTERNAL_REF,
        _NAME,
        _DESCRIPTION,
        Attribute("sku", _TEXT),
        Attribute("main_image", values.uri),
        Attribute("price", values.price),
        Attribute("price_units", values.price_units),
    ),
    ObjectKind.PLAN: (
        _EXTERNAL_REF,
        _NAME,
        _DESCRIPTION,
        Attribute("billing_interval_type", values.one_of("day", "week", "month", "year"), required=True),
        Attribute("billing_frequency", values.whole(1), required=True),
        Attribute("trial_period", values.whole(0)),
        Attribute("plan_length", values.whole(1), required=True),
        Attribute("end_behavior", values.one_of("close", "roll"), required=True),
        Attribute("can_pause", values.boolean, required=True),
        Attribute("can_resume", values.boolean, required=True),
        Attribute("can_cancel", values.boolean, required=True),
        Attribute("base_price_percentage", values.percentage),
        Attribute("fixed_price", values.price),
    ),
    ObjectKind.SUBSCRIBER: (_EXTERNAL_REF, _ACCOUNT, _NAME, _EMAIL, _PAYMENT),
    ObjectKind.OFFERING: (
        _EXTERNAL_REF,
        _NAME,
        _DESCRIPTION,
        Attribute("products", _references(ObjectKind.PRODUCT), required=True),
        Attribute("plans", _references(ObjectKind.PLAN), required=True),
        Attribute("proration_policy_id", values.external_ref),
        Attribute("features", _features),
    ),
    ObjectKind.SUBSCRIPTION: (
        _EXTERNAL_REF,
        _ACCOUNT,
        Attribute("address_id", values.uuid),
        _NAME,
        _EMAIL,
        Attribute("currency", values.currency, required=True),
        Attribute("manual_payments", values.boolean),
        _PAYMENT,
        Attribute("pending", values.boolean),
        Attribute("first_invoice_paid", values.boolean),
        Attribute("started_at", values.date_time),
        Attribute("offering_id", values.uuid),
        Attribute("plan_id", values.uuid),
        Attribute("offering_external_ref", _REFERENCE),
        Attribute("selected_plan", _REFERENCE),
        Attribute("offering", _inline_offering),
        Attribute("products", _references(ObjectKind.PRODUCT)),
        Attribute("plans", _references(ObjectKind.PLAN)),
        Attribute("go_live_after", values.date_time),
    ),
}

WAYS = ("offering_id", "offering_external_ref", "offering")
"""The three ways in which a subscription tells its offering."""

OF_A_WAY = frozenset((*WAYS, "plan_id", "selected_plan", "products", "plans"))
"""The attributes that belong to one of the ways: who changes one of them tells the offering and its plan anew."""

_WHOLE_WAYS = [{way, chosen} for way in WAYS[:2] for chosen in ("plan_id", "selected_plan")]

_FORMS = {kind: {each.name: each.form for each in attributes} for kind, attributes in ATTRIBUTES.items()}
_REQUIRED = {kind: [each.name for each in attributes if each.required] for kind, attributes in ATTRIBUTES.items()}
_POSITIONS = {
    kind: {attribute.name: index for index, attribute in enumerate(attributes)}
    for kind, attributes in ATTRIBUTES.items()
}


def check(kind: ObjectKind, attributes: Attributes, *, partial: bool = False) -> list[LineFault]:
    """Return every fault of the attributes of an object, in the order of its attributes.

    ``partial``: of a change, which names only what it changes; null then clears what need not be there.
    """
    found = _faults(kind, attributes, partial=partial)
    if kind is ObjectKind.SUBSCRIPTION:
        more: list[LineFault] = []
        if not partial or not OF_A_WAY.isdisjoint(attributes):
            more += _way(attributes)
        if not partial:
            more += _start(attributes)
        if more:
            wrong = {fault.field for fault in found}
            found = in_order(kind, [*found, *(fault for fault in more if fault.field not in wrong)])
    return found


def in_order(kind: ObjectKind, faults: list[LineFault]) -> list[LineFault]:
    """Return faults in the order of the attributes of a kind."""
    if len(faults) < 2:  # noqa: PLR2004 -- one is in order
        return faults
    positions = _POSITIONS[kind]
    return sorted(faults, key=lambda fault: positions.get(fault.field, -1))


def merge(before: Value, changes: Attributes, kind: ObjectKind) -> Attributes:
    """Return attributes with their changes: null takes one away, and a new way to an offering takes the old one's place."""
    dropped = OF_A_WAY if kind is ObjectKind.SUBSCRIPTION and not OF_A_WAY.isdisjoint(changes) else frozenset()
    stored = before if isinstance(before, dict) else {}
    merged = {name: value for name, value in stored.items() if name not in dropped} | changes
    return {name: value for name, value in merged.items() if value is not None}


def _faults(kind: ObjectKind, attributes: Attributes, *, prefix: str = "", partial: bool = False) -> list[LineFault]:
    """Return the faults of attributes one by one, in their order."""
    found: list[LineFault] = []
    forms = _FORMS[kind]
    for name, value in attributes.items():
        if value is not None and name in forms:
            errors = forms[name](value, prefix + name)
            if errors:
                found += [LineFault(name, error) for error in errors]
    for name in _REQUIRED[kind]:
        if attributes.get(name) is None and (not partial or name in attributes):
            found.append(LineFault(name, f'"{prefix}{name}" {"cannot be cleared" if partial else "is required"}'))
    return in_order(kind, found)


def _way(attributes: Attributes) -> Iterable[LineFault]:
    """Check that the offering is told in one of the three ways, and one of its plans chosen."""
    named = {name for name in OF_A_WAY.intersection(attributes) if attributes[name] is not None}
    return () if named in _WHOLE_WAYS else _faults_of_way(attributes)


def _faults_of_way(attributes: Attributes) -> Iterator[LineFault]:
    told = [name for name in WAYS if attributes.get(name) is not None]
    brought = [name for name in ("products", "plans") if attributes.get(name) is not None]
    if not told:
        one = '"offering"' if brought else '"offering_id", "offering_external_ref" or "offering"'
        yield LineFault("offering", f"{one} is required")
        return
    for name in told[1:]:
        yield LineFault(name, f'"{name}" cannot stand beside "{told[0]}": both tell the offering')
    chosen = [name for name in ("plan_id", "selected_plan") if attributes.get(name) is not None]
    if len(chosen) > 1:
        yield LineFault("selected_plan", '"selected_plan" cannot stand beside "plan_id": both choose the plan')
    if told[0] == "offering":
        for name in ("products", "plans"):
            if name not in brought:
                yield LineFault(name, f'"{name}" is required beside "offering"')
        if "plans" in brought:
            yield from _selected(attributes, chosen)
        return
    for name in brought:
        yield LineFault(name, f'"{name}" cannot stand beside "{told[0]}": the offering has its own')
    if not chosen:
        names = ("plan_id", "selected_plan") if told[0] == "offering_id" else ("selected_plan", "plan_id")
        yield LineFault(names[0], f'"{names[0]}" or "{names[1]}" is required')


def _selected(attributes: Attributes, chosen: list[str]) -> Iterator[LineFault]:
    plans = attributes["plans"]
    marked = sum(is_selected(each) for each in plans) if isinstance(plans, list) else 0
    if marked + len(chosen) == 0:
        yield LineFault("plans", 'one of "plans" must be selected, by its "meta.selected" or by "selected_plan"')
    elif marked > 1 or (marked and chosen):
        yield LineFault("plans", 'only one of "plans" can be selected')


def is_selected(plan: Value) -> bool:
    """Return whether a plan that a subscription brings is marked as the chosen one."""
    meta = plan.get("meta") if isinstance(plan, dict) else None
    return isinstance(meta, dict) and meta.get("selected") is True


def _start(attributes: Attributes) -> Iterable[LineFault]:
    if attributes.get("started_at") is not None and attributes.get("first_invoice_paid") is not True:
        return (LineFault("started_at", '"started_at" needs "first_invoice_paid" to be true'),)
    return ()


@dataclass(slots=True)
class LineReferences:
    """What lines refer to: references by kind, and ids by kind."""

    refs: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    ids: dict[int, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    accounts: set[str] = field(default_factory=set)


def names_of(lines: Iterable[Line]) -> LineReferences:
    """Return what lines refer to, and the references that they would take."""
    names = LineReferences()
    for line in lines:
        attributes = line.attributes
        _take_ref(names, line.kind, attributes.get("external_ref"))
        if line.kind is ObjectKind.OFFERING:
            _take_elements(names, attributes)
        elif line.kind is ObjectKind.SUBSCRIPTION:
            _take_ref(names, ObjectKind.OFFERING, attributes.get("offering_external_ref"))
            offering_id = attributes.get("offering_id")
            if is_uuid(offering_id):
                names.ids[ObjectKind.OFFERING].add(UUID(str(offering_id)))
            offering = attributes.get("offering")
            if isinstance(offering, dict):
                _take_ref(names, ObjectKind.OFFERING, offering.get("external_ref"))
                _take_elements(names, attributes)
        account_id = attributes.get("account_id")
        if is_uuid(account_id):
            names.accounts.add(str(account_id).lower())
    return names


def _take_elements(names: LineReferences, attributes: Attributes) -> None:
    for kind in (ObjectKind.PRODUCT, ObjectKind.PLAN):
        elements = attributes.get(kind.plural)
        for each in elements if isinstance(elements, list) else ():
            if isinstance(each, dict):
                _take_ref(names, kind, each.get("external_ref"))
            else:
                _take_ref(names, kind, each)
                if is_uuid(each):
                    names.ids[kind].add(UUID(str(each)))


def _take_ref(names: LineReferences, kind: ObjectKind, value: Value) -> None:
    ref = reference_of(value)
    if ref is not None:
        names.refs[kind].add(ref)
