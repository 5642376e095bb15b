"""SQLSTATEs: who caused an error of PostgreSQL, decided once for every class of its error codes.

The state decides, never the class of the driver's exception: ``ProgramLimitExceeded``, an index entry that is too long, is
an ``OperationalError`` like a lost connection. ``CLASSES`` has the classes, ``STATES`` the states that differ from their
class. A state in neither is ours.
"""

from __future__ import annotations

import re
from enum import Enum

import psycopg
from psycopg import errors, pq

from ratemill.errors import (
    DatabaseAway,
    RatemillError,
    StatementDefect,
    StatementLimit,
    UnstorableData,
    WriteRace,
)

MESSAGE_CHARS_MAX = 300  # of a message of the server, which may quote a value


_LOGIN_REFUSED = re.compile(
    r'FATAL:  (?:.* authentication failed for user "|no pg_hba\.conf entry for |pg_hba\.conf rejects connection '
    r'|role ".*" (?:does not exist|is not permitted to log in)|database ".*" does not exist)|no password supplied'
)


class Cause(Enum):
    """Who caused an error, and so what follows from it (``ratemill.errors`` has one class for each).

    ``WORLD``: the server, its disk, its memory or the way to it. Worth retrying, and not an attempt of any record.
    ``RACE``: another transaction. Worth retrying, and not an attempt either.
    ``LIMIT``: a statement or transaction reached a limit of time or space. Worth retrying in smaller parts.
    ``RECORD``: a value. The same value fails again, every other one passes.
    ``OURS``: the statement, the schema or the rights. Nothing but a change of the program or the installation helps.
    """

    WORLD = "world"
    RACE = "race"
    LIMIT = "limit"
    RECORD = "record"
    OURS = "ours"


CLASSES: dict[str, Cause] = {
    "00": Cause.OURS,  # successful completion, warnings and no data: none is ever raised as an error
    "01": Cause.OURS,
    "02": Cause.OURS,
    "03": Cause.OURS,  # SQL statement not yet complete
    "08": Cause.WORLD,  # connection exception
    "09": Cause.OURS,  # triggered action exception
    "0A": Cause.OURS,  # feature not supported
    "0B": Cause.OURS,  # invalid transaction initiation
    "0F": Cause.OURS,  # locator exception
    "0L": Cause.OURS,  # invalid grantor
    "0P": Cause.OURS,  # invalid role specification
    "0Z": Cause.OURS,  # diagnostics exception
    "10": Cause.OURS,  # XQuery error
    "20": Cause.OURS,  # case not found
    "21": Cause.RECORD,  # cardinality violation: one upsert has the same key twice
    "22": Cause.RECORD,  # data exception
    "23": Cause.RECORD,  # integrity constraint violation
    "24": Cause.OURS,  # invalid cursor state
    "25": Cause.OURS,  # invalid transaction state
    "26": Cause.OURS,  # invalid SQL statement name
    "27": Cause.OURS,  # triggered data change violation
    "28": Cause.WORLD,  # invalid authorization: the login was changed or is refused
    "2B": Cause.OURS,  # dependent privilege descriptors still exist
    "2D": Cause.OURS,  # invalid transaction termination
    "2F": Cause.OURS,  # SQL routine exception
    "34": Cause.OURS,  # invalid cursor name
    "38": Cause.OURS,  # external routine exception
    "39": Cause.OURS,  # external routine invocation exception
    "3B": Cause.OURS,  # savepoint exception
    "3D": Cause.WORLD,  # invalid catalog name: the database is missing
    "3F": Cause.OURS,  # invalid schema name
    "40": Cause.RACE,  # transaction rollback: serialization failure, deadlock
    "42": Cause.OURS,  # syntax error or access rule violation
    "44": Cause.OURS,  # WITH CHECK OPTION violation
    "53": Cause.WORLD,  # insufficient resources: disk full, out of memory, too many connections
    "54": Cause.RECORD,  # program limit exceeded: an index entry too long, a value too deeply nested
    "55": Cause.OURS,  # object not in prerequisite state
    "57": Cause.WORLD,  # operator intervention: shutdown, crash, recovery
    "58": Cause.WORLD,  # system error: I/O
    "72": Cause.RACE,  # snapshot too old
    "F0": Cause.WORLD,  # configuration file error
    "HV": Cause.OURS,  # foreign data wrapper error
    "P0": Cause.OURS,  # PL/pgSQL error
    "XX": Cause.OURS,  # internal error
}
"""The cause of each class of Appendix A of PostgreSQL's manual."""

STATES: dict[str, Cause] = {
    "2200H": Cause.OURS,  # a sequence has no numbers left
    "25006": Cause.WORLD,  # read-only: after a failover the address still leads to a standby
    # A record that keeps the worker busy in a transaction, or a server that is slow: smaller parts tell them apart.
    "25P03": Cause.LIMIT,  # idle in transaction for too long
    "25P04": Cause.LIMIT,  # transaction timeout
    "40003": Cause.WORLD,  # the outcome of a statement is unknown
    "53400": Cause.LIMIT,  # configuration limit: temporary files
    "54011": Cause.OURS,  # too many columns
    "54023": Cause.OURS,  # too many arguments
    "55006": Cause.RACE,  # object in use
    "55P03": Cause.RACE,  # lock not available, or not in time
    "57014": Cause.LIMIT,  # query canceled: the statement's time-out
    "XX001": Cause.WORLD,  # data corrupted: the disk's
    "XX002": Cause.WORLD,  # index corrupted
}
"""The states whose cause differs from that of their class."""


def cause_of(error: psycopg.Error) -> Cause:
    """Return who caused an error of the driver.

    An error without a state comes from the driver: it lost the server, cannot write a value, or is used wrongly.
    """
    state = error.sqlstate
    if state:
        return STATES.get(state) or CLASSES.get(state[:2], Cause.OURS)
    if isinstance(error, errors.PipelineAborted):
        return Cause.OURS
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Cause.WORLD  # even if another connection outlived it: this one may have been a new one
    return Cause.RECORD if isinstance(error, psycopg.DataError) else Cause.OURS


def error_from(error: psycopg.Error) -> RatemillError:
    """Return the error of ours that stands for one of the driver, by its cause."""
    message = message_of(error)
    match cause_of(error):
        case Cause.WORLD:
            return DatabaseAway(f"the database cannot be used now: {message}")
        case Cause.RACE:
            return WriteRace(f"another transaction is writing the same rows: {message}")
        case Cause.LIMIT:
            return StatementLimit(f"the database reached a limit: {message}")
        case Cause.RECORD:
            return UnstorableData(f"the database cannot store a value: {message}")
        case Cause.OURS:
            return StatementDefect(f"PostgreSQL refused a statement ({error.sqlstate or 'no state'}): {message}")


def is_login_refused(message: str) -> bool:
    """Return whether a connection failed with 28P01, 28000 or 3D000: the login is wrong or there is no such database.

    The driver has no state of a connection that failed, so the message decides. One in another language than English
    is not recognized, and the connection is then tried again like after any other failure.
    """
    return _LOGIN_REFUSED.search(message) is not None


def message_of(error: psycopg.Error) -> str:
    """Return the server's own message in one printable line, without the row that it may quote as a detail."""
    text = error.diag.message_primary or str(error)
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
    return line if len(line) <= MESSAGE_CHARS_MAX else f"{line[:MESSAGE_CHARS_MAX]}…"


def is_connected(connection: psycopg.Connection[object] | None) -> bool:
    """Whether there is a connection and the driver still has it after an error."""
    return connection is not None and not connection.closed and connection.pgconn.status == pq.ConnStatus.OK
