"""Filters: the conditions of a query that a caller asked for, joined by and; what was not asked for costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def parameters(filters: DataclassInstance) -> dict[str, Any]:
    """Return the members of ``filters`` by name, as parameters of a statement."""
    return {member.name: getattr(filters, member.name) for member in fields(filters)}


def where(filters: DataclassInstance, conditions: Mapping[str, str]) -> str:
    """Return the conditions of those members of ``filters`` that are not None."""
    asked = [conditions[name] for name, value in parameters(filters).items() if value is not None]
    return " and ".join(asked) or "true"


def submission_of_tracking_id(column: str) -> str:
    """Return the condition that ``column`` is the submission of either of its tracking ids."""
    return (
        f"{column} = any(array(select k.submission_id from submissions k"
        " where k.request_tracking_id = %(tracking_id)s or k.import_tracking_id = %(tracking_id)s))"
    )


def submission_of_batch(column: str) -> str:
    """Return the condition that ``column`` is a submission of which the batch took records."""
    return f"{column} = any(array(select t.submission_id from batch_spans t where t.batch_id = %(batch_id)s))"


def feed_of_name(column: str) -> str:
    """Return the condition that ``column`` is the feed of that name, in any letter case."""
    return f"{column} = (select d.feed_id from feeds d where lower(d.name) = lower(%(feed)s))"
