"""Resubmit: a refused row, edited, goes in again as the next revision of the same record.

Until a worker takes it the record waits: it counts in no batch, and joins the counts of the batch that takes it. The row
as it was refused stays readable.
"""

from __future__ import annotations

from typing import cast

from ratemill.errors import Code, Conflict, invariant
from ratemill.ledger.exceptions import require_import
from ratemill.records import Route, read_element
from ratemill.states import ImportExceptionState
from ratemill.store.charges import import_exceptions
from ratemill.store.charges.import_exceptions import ImportException
from ratemill.store.connections import Database
from ratemill.store.usage import batches, resubmissions, submissions


def resubmit(
    database: Database, owner_id: int, import_exception_id: int, body: bytes, *, created_by: str
) -> ImportException:
    """Send in the row of ``body`` in the place of a refused one; return the exception, which is now history.

    Raises ``NotFound``, ``BadRequest`` for a body that holds no such row, ``Conflict`` if the exception is new no longer.
    """
    with database.face(owner_id) as connection:
        refused = require_import(connection, import_exception_id)
        route = cast("Route", submissions.lock(connection, refused.submission_id))
        raw = read_element(body, route)
        if not import_exceptions.leave_new(connection, refused.import_exception_id, ImportExceptionState.RESUBMITTED):
            raise Conflict(
                f"import exception {import_exception_id} was resubmitted or written off before",
                code=Code.EXCEPTION_NOT_NEW,
            )
        resubmissions.insert(
            connection,
            submission_id=refused.submission_id,
            row_index=refused.row_index,
            revision=refused.revision + 1,
            owner_id=owner_id,
            is_object=route != "rows",
            raw=raw,
            created_by=created_by,
        )
        spans = batches.release_refused(connection, refused.batch_id, refused.submission_id)
        invariant(spans == 1, f"batch {refused.batch_id} has {spans} spans of submission {refused.submission_id}")
        submissions.wait_again(connection, refused.submission_id)
        return require_import(connection, import_exception_id)
