"""The audit: prove in one snapshot that every record received has exactly one end, from the raw bodies up.

It does not add up counters. It unpacks each raw body and counts its elements, looks for every row index among the ends
(none missing, none twice), compares the stored counts with what it found, and adds the amounts up by two ways.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, cast

from ratemill import money
from ratemill.errors import RatemillError
from ratemill.records import Route, read_elements
from ratemill.store.charges import audit as audits
from ratemill.store.charges.audit import AuditBody
from ratemill.store.connections import Connection, Database
from ratemill.store.usage.submissions import unpack
from ratemill.visible import shown

FAILURES_MAX = 100  # as many are told of each audit; the number of all is told too
ANY_ROWS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that does not tie: the rule that is broken, where, and how."""

    rule: str
    submission_id: int | None
    batch_id: int | None
    row_index: int | None
    detail: str


@dataclass(slots=True)
class Audit:
    """What an audit found; it holds if there is no failure.

    ``records`` is counted from the raw bodies (``records_by_digest``: where the body was removed, only its stored count
    could be used); ``accounted`` are those with one end or waiting.
    """

    submissions: int = 0
    records: int = 0
    records_by_digest: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    days: list[dict[str, Any]] = field(default_factory=list)
    amounts: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    failure_count: int = 0

    @property
    def holds(self) -> bool:
        """Whether everything ties."""
        return self.failure_count == 0

    def fail(self, rule: str, failures: list[Failure]) -> None:
        """Add failures of one rule."""
        self.failure_count += len(failures)
        self.failures += [Failure(rule, f.submission_id, f.batch_id, f.row_index, f.detail) for f in failures][
            : max(0, FAILURES_MAX - len(self.failures))
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the whole as plain values."""
        return {**asdict(self), "holds": self.holds}


def audit(database: Database, owner_id: int | None = None) -> Audit:
    """Audit the records of one owner, or of all, in one snapshot; may run while usage comes in."""
    found = Audit()
    with database.worker() as connection:
        audits.begin_snapshot(connection)
        for some in audits.bodies(connection, owner_id):
            _audit_bodies(found, some)
            _audit_ends(found, connection, some)
        _audit_laws(found, connection, owner_id)
        _audit_amounts(found, connection, owner_id)
    return found


def _audit_bodies(audit: Audit, some: list[AuditBody]) -> None:
    """Count the elements of each body as they were sent, and compare with what was promised to the sender."""
    for submission in some:
        audit.submissions += 1
        audit.records += submission.row_count
        if submission.body is None:
            audit.records_by_digest += submission.row_count
            continue
        detail = _body_fault(submission)
        if detail:
            audit.fail(
                "body_must_hold_the_records_accepted", [Failure("", submission.submission_id, None, None, detail)]
            )


def _body_fault(submission: AuditBody) -> str | None:
    body = unpack(submission.body or b"")
    if sha256(body).digest() != submission.body_sha256:
        return "the stored body is not the one that was received"
    try:
        elements = len(read_elements(body, cast("Route", submission.route), rows_max=ANY_ROWS).texts)
    except RatemillError as error:
        return f"the stored body cannot be read: {error}"
    if elements != submission.row_count:
        return f"the body holds {elements} records, {submission.row_count} were accepted"
    return None


def _audit_ends(audit: Audit, connection: Connection, some: list[AuditBody]) -> None:
    ids = [submission.submission_id for submission in some]
    counts = [submission.row_count for submission in some]
    checks = {
        "record_must_have_an_end": audits.records_without_end(connection, ids, counts),
        "record_must_have_one_end": audits.records_with_two_ends(connection, ids),
        "counts_must_be_those_of_the_records": audits.counts_that_differ(connection, ids),
        "duplicate_must_repeat_an_imported_record": audits.duplicates_of_nothing(connection, ids),
    }
    for rule, misfits in checks.items():
        audit.fail(rule, [Failure(rule, m.submission_id, m.batch_id, m.row_index, m.detail) for m in misfits])


def _audit_laws(audit: Audit, connection: Connection, owner_id: int | None) -> None:
    """Hold the two sums of the promise for every feed and day, and for the whole."""
    audit.days = audits.counts_by_feed_and_day(connection, owner_id)
    names = [name for name in (audit.days[0] if audit.days else {}) if name not in {"owner_id", "feed", "day"}]
    audit.totals = {name: sum(day[name] for day in audit.days) for name in names}
    for day in audit.days:
        received = day["waiting"] + day["imported"] + day["skipped"] + day["duplicate"] + day["refused"]
        imported = day["rated"] + day["rating_exceptions"] + day["written_off"]
        if (received, imported) != (day["received"], day["imported"]):
            detail = f"feed '{shown(day['feed'])}' on {day['day']}: {received} of {day['received']} received, "
            detail += f"{imported} of {day['imported']} imported"
            audit.fail("sums_must_tie", [Failure("", None, None, None, detail)])
    if audit.totals.get("received", 0) != audit.records:
        detail = f"{audit.records} records were received, the days have {audit.totals.get('received', 0)}"
        audit.fail("sums_must_tie", [Failure("", None, None, None, detail)])


def _audit_amounts(audit: Audit, connection: Connection, owner_id: int | None) -> None:
    by_account = audits.amounts(connection, owner_id, by="account_id")
    by_submission = audits.amounts(connection, owner_id, by="submission_id")
    audit.amounts = [
        {"currency": currency, "charges": charges, "amount": money.plain(amount)}
        for currency, charges, amount in by_account
    ]
    if by_account != by_submission:
        detail = f"by account {by_account}, by request {by_submission}"
        audit.fail("amounts_must_add_up", [Failure("", None, None, None, detail)])
