"""What lines of subscription objects refer to, so that it can be looked up before they are decided on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions.lines import Line, reference_of
from ratemill.reference.subscriptions.records import Attributes
from ratemill.reference.subscriptions.values import is_uuid
from ratemill.subscription_objects import ObjectKind


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
