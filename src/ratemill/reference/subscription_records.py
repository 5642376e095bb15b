"""The attributes of each kind of subscription object: what must be there, of what form, within what limits."""

from __future__ import annotations

from ratemill.reference.json_text import Value
from ratemill.reference.subscription_kinds import Kind
from ratemill.reference.subscription_lines import LineFault


def check(kind: Kind, attributes: dict[str, Value], *, partial: bool = False) -> list[LineFault]:
    """Return every fault of the attributes of an object, in the order of its attributes.

    ``partial``: of a change, which need not name all that is required.
    """
    del kind, attributes, partial
    return []
