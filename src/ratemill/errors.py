"""The three kinds of trouble, and their numbers.

RatemillError
├── CallerError               the caller erred: said in the dialect's envelope, nothing is kept
│   ├── BadRequest            400
│   ├── Unauthorized          401
│   ├── Forbidden             403
│   ├── NotFound              404
│   ├── Conflict              409
│   ├── PreconditionFailed    412
│   ├── ContentTooLarge       413
│   ├── UnsupportedMediaType  415
│   ├── MisdirectedRequest    421
│   ├── KeyReuse              422
│   └── TooManyRequests       429, worth retrying
├── Unavailable               503, worth retrying: the world failed; never an attempt of a record
│   ├── DatabaseAway          503: the database does not answer or cannot work; logged once a minute where it is found
│   │   └── LoginRefusal      503: the login is wrong or the database does not exist; waiting alone does not help
│   ├── WriteRace             503, or 409 where a dialect has a word for it: another transaction was writing the same
│   └── StatementLimit        503: the database reached a limit of time or space; an attempt, worth retrying in parts
├── TableTooLarge             the texts of a table would take too much memory: never an attempt, fewer rows are taken
├── UnstorableData            400: the database cannot store a value; an attempt, and the record with the value is refused
├── UsageFault                a command was used wrongly or its input does not fit
└── InvariantFailure          we erred: the work is not committed
    └── StatementDefect       PostgreSQL refused a statement for what it is, or for a right that is missing

A record that errs is none of these: it is a row among the exceptions, with a reason (``ratemill.reasons``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

from ratemill.visible import visible

MESSAGE_CHARS_MAX = 600
"""Characters of one message to a caller; a value in it is cut earlier, where it is put in (``ratemill.visible.shown``)."""


class Code(IntEnum):
    """The numbers of everything that can be wrong with a call; none ever changes its meaning or is used again."""

    BAD_REQUEST = 1400
    NOT_AUTHENTICATED = 1401
    NOT_PERMITTED = 1403
    NOT_FOUND = 1404
    METHOD_NOT_ALLOWED = 1405
    CONFLICT = 1409
    NOT_AS_BEFORE = 1412
    BODY_TOO_LARGE = 1413
    WRONG_MEDIA_TYPE = 1415
    WRONG_HOST = 1421
    IDEMPOTENCY_KEY_REUSED = 1422
    TOO_MANY_REQUESTS = 1429
    # the shape of a body
    BODY_NOT_JSON = 1431
    BODY_NOT_AN_OBJECT = 1432
    NO_RECORD = 1433
    DATA_NOT_A_LIST = 1434
    ELEMENT_OF_WRONG_TYPE = 1435
    TOO_MANY_ROWS = 1436
    MORE_THAN_ONE_RECORD = 1437
    TEXT_NOT_STORABLE = 1438
    DATA_NOT_STORABLE = 1439
    DATA_TWICE = 1440
    # parameters and headers
    PARAMETER_NOT_VALID = 1441
    PARAMETER_UNKNOWN = 1442
    IDEMPOTENCY_KEY_NOT_VALID = 1443
    # things that a call names
    FEED_NOT_FOUND = 1451
    FEED_DISABLED = 1452
    IDEMPOTENCY_KEY_IN_USE = 1453
    REQUEST_NOT_FOUND = 1461
    BATCH_NOT_FOUND = 1462
    EXCEPTION_NOT_FOUND = 1463
    CHARGE_NOT_FOUND = 1464
    REPROCESS_NOT_FOUND = 1465
    OBJECT_NOT_FOUND = 1466
    CHANGE_NOT_FOUND = 1467
    # the state of an exception, and what mends it
    EXCEPTION_NOT_NEW = 1471
    EXCEPTION_NOT_OPEN = 1472
    NOTE_NOT_VALID = 1473
    FILTER_NOT_VALID = 1474
    # ours, and the world's
    OUR_FAULT = 1500
    UNAVAILABLE = 1503
    # set-up documents
    DOCUMENT_UNREADABLE = 1601
    MEMBER_UNKNOWN = 1602
    MEMBER_REQUIRED = 1603
    VALUE_NOT_VALID = 1604
    REFERENCE_NOT_FOUND = 1605
    ENTRY_TWICE = 1606
    MEMBER_FROZEN = 1607
    RULE_BROKEN = 1608
    WARNING = 1609
    # changes of set-up objects
    KEY_TAKEN = 1610
    IDENTITY_NOT_OF_PATH = 1611
    PATCH_NOT_VALID = 1612
    IN_USE = 1613
    BUILT_IN = 1614


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request or a document.

    ``code`` never changes its meaning; ``row`` counts from 1; ``path`` and ``line`` place a fault of a set-up document.
    ``word`` is the code in the dialects whose codes are words; without one it is the code's name in small letters.
    """

    code: int
    message: str
    row: int | None = None
    field: str | None = None
    path: str | None = None
    line: int | None = None
    word: str | None = None

    def __post_init__(self) -> None:
        """Make the message fit to be read, whatever it repeats; ``field`` and ``path`` stay exact."""
        object.__setattr__(self, "message", readable(self.message))


class RatemillError(Exception):
    """Any trouble that the product names itself."""

    status = 500
    retry = False


class CallerError(RatemillError):
    """The caller erred; carries every fault that was found, at least one."""

    status = 400
    code: int = Code.BAD_REQUEST

    def __init__(self, message: str = "", *, code: int | None = None, faults: list[Fault] | None = None) -> None:
        self.faults = faults or [Fault(code or self.code, message)]
        super().__init__(readable(message) or self.faults[0].message)


class BadRequest(CallerError):
    """The request cannot be understood or breaks a limit."""

    status, code = 400, Code.BAD_REQUEST


class Unauthorized(CallerError):
    """No token, or one that is wrong, revoked or expired."""

    status, code = 401, Code.NOT_AUTHENTICATED


class Forbidden(CallerError):
    """The token lacks the right."""

    status, code = 403, Code.NOT_PERMITTED


class NotFound(CallerError):
    """No such thing, or one of another owner."""

    status, code = 404, Code.NOT_FOUND


class Conflict(CallerError):
    """The state of the thing does not allow it."""

    status, code = 409, Code.CONFLICT


class PreconditionFailed(CallerError):
    """The thing is another by now than the one that the caller means to change."""

    status, code = 412, Code.NOT_AS_BEFORE


class ContentTooLarge(CallerError):
    """The body is over the limit."""

    status, code = 413, Code.BODY_TOO_LARGE


class UnsupportedMediaType(CallerError):
    """The Content-Type is not the dialect's."""

    status, code = 415, Code.WRONG_MEDIA_TYPE


class MisdirectedRequest(CallerError):
    """The request is for a host that this server does not answer as."""

    status, code = 421, Code.WRONG_HOST


class KeyReuse(CallerError):
    """The Idempotency-Key came with another request before."""

    status, code = 422, Code.IDEMPOTENCY_KEY_REUSED


class TooManyRequests(CallerError):
    """Over the backlog bound; the caller may try again after ``retry_after_s`` seconds."""

    status, code, retry = 429, Code.TOO_MANY_REQUESTS, True

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(RatemillError):
    """The database or another part of the world is not there now."""

    status, retry = 503, True


class DatabaseAway(Unavailable):
    """The database does not answer, refuses the login or cannot work now: no disk, no memory, no connection, a restart.

    The database handle logs it once a minute for each process, so callers do not log it again.
    """


class LoginRefusal(DatabaseAway):
    """The server refuses the login, or has no such database. Only a change of the DSN or of the server helps."""


class WriteRace(Unavailable):
    """Another transaction wrote, or held for too long, what was to be written."""


class StatementLimit(Unavailable):
    """A statement or transaction reached a limit of the server: its time-out or its temporary files.

    A slow server does this to any table, and a poisonous record to each table that has it. So it counts as an attempt and
    the table is bisected: smaller parts pass on a slow server, and the poisonous record is isolated. A single record that
    reached a limit is refused only if other records passed meanwhile: until then the server is the cause.
    """


class TableTooLarge(RatemillError):
    """Mediation would make more text of ``rows`` rows than one table may have; nothing was made.

    It says nothing about any of the rows: the caller takes fewer of them, and a single row is never too large.
    """

    def __init__(self, message: str, *, rows: int) -> None:
        self.rows = rows
        super().__init__(message)


class UnstorableData(RatemillError):
    """The database cannot store a value: an index entry is too long, a number too large, a constraint is broken.

    The same value always fails and the records next to it pass: it counts as an attempt, the table is bisected, and the
    record that has the value is refused. A request that has it is the caller's to correct.
    """

    status = 400


USED_WRONGLY = 2  # the exit code of a command that was used wrongly


class UsageFault(RatemillError):
    """A command was used wrongly (exit code 2) or what it was given does not fit (exit code 1)."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class InvariantFailure(RatemillError):
    """We erred: what must hold does not. Never caught to go on with the work."""


class StatementDefect(InvariantFailure):
    """PostgreSQL refused a statement for what it is: the program, the schema or the rights of the installation are wrong.

    Raised loudly; retrying does not help. Every record fails alike where a table or a right is missing, so a record is
    refused for it only if other records passed meanwhile.
    """


def readable(message: str) -> str:
    """Return a message on one line, its invisible characters spelled out, and cut at ``MESSAGE_CHARS_MAX``."""
    text = visible(message)
    if len(text) <= MESSAGE_CHARS_MAX:
        return text
    end = f"… ({len(message)} characters)"
    return text[: MESSAGE_CHARS_MAX - len(end)] + end


def invariant(holds: bool, message: str) -> None:
    """Raise ``InvariantFailure`` unless ``holds``; unlike ``assert``, never switched off."""
    if not holds:
        fail(message)


def fail(message: str) -> NoReturn:
    """Raise ``InvariantFailure``."""
    raise InvariantFailure(message)
