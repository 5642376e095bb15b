"""Write off: give up a refused row or a usage record that cannot be rated. It stays readable, with who did it and why."""

from __future__ import annotations

from ratemill.errors import Code, Conflict, invariant
from ratemill.ledger.exceptions import require_import, require_rating
from ratemill.states import ImportExceptionState
from ratemill.store.charges import import_exceptions, rating_exceptions, write_offs
from ratemill.store.charges.import_exceptions import ImportException
from ratemill.store.charges.rating_exceptions import RatingException
from ratemill.store.connections import Database
from ratemill.store.usage import batches, submissions


def write_off_import(
    database: Database, owner_id: int, import_exception_id: int, *, note: str | None, created_by: str
) -> ImportException:
    """Give up a refused row, which stays counted as refused; raise ``NotFound``, or ``Conflict`` if it is new no longer."""
    with database.face(owner_id) as connection:
        refused = require_import(connection, import_exception_id)
        submissions.lock(connection, refused.submission_id)
        if not import_exceptions.leave_new(connection, refused.import_exception_id, ImportExceptionState.WRITTEN_OFF):
            raise Conflict(
                f"import exception {import_exception_id} was resubmitted or written off before",
                code=Code.EXCEPTION_NOT_OPEN,
            )
        write_offs.insert(
            connection,
            submission_id=refused.submission_id,
            row_index=refused.row_index,
            owner_id=owner_id,
            note=note,
            created_by=created_by,
        )
        return require_import(connection, import_exception_id)


def write_off_rating(
    database: Database, owner_id: int, rating_exception_id: int, *, note: str | None, created_by: str
) -> RatingException:
    """Give up a usage record, which counts as written off; raise ``NotFound``, or ``Conflict`` if it is open no longer."""
    with database.face(owner_id) as connection:
        excepted = require_rating(connection, rating_exception_id)
        submissions.lock(connection, excepted.submission_id)
        if not rating_exceptions.write_off(connection, excepted.rating_exception_id):
            message = f"rating exception {rating_exception_id} was rated or written off before"
            raise Conflict(message, code=Code.EXCEPTION_NOT_OPEN)
        spans = batches.write_off_excepted(connection, excepted.batch_id, excepted.submission_id)
        invariant(spans == 1, f"batch {excepted.batch_id} has {spans} spans of submission {excepted.submission_id}")
        write_offs.insert(
            connection,
            submission_id=excepted.submission_id,
            row_index=excepted.row_index,
            owner_id=owner_id,
            note=note,
            created_by=created_by,
        )
        return require_rating(connection, rating_exception_id)
