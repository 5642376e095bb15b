"""The three kinds of trouble, and their numbers.

RatemillError
├── CallerError               the caller erred: said in the dialect's envelope, nothing is kept
│   ├── BadRequest            400
│   ├── NotAuthenticated      401
│   ├── NotPermitted          403
│   ├── NotFound              404
│   ├── Conflict              409
│   ├── PreconditionFailed    412
│   ├── BodyTooLarge          413
│   ├── WrongMediaType        415
│   ├── KeyReused             422
│   └── TooManyRequests       429, worth retrying
├── Unavailable               503, worth retrying: the world failed (the database is gone)
├── UsageFault                a command was used wrongly or its input does not fit
└── InvariantFailure          we erred: the work is not committed

A record that errs is none of these: it is a row among the exceptions, with a reason (``ratemill.reasons``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request or a document.

    ``code`` never changes its meaning; ``row`` counts from 1; ``path`` and ``line`` place a fault of a set-up document.
    """

    code: int
    message: str
    row: int | None = None
    field: str | None = None
    path: str | None = None
    line: int | None = None


class RatemillError(Exception):
    """Any trouble that the product names itself."""

    status = 500
    retry = False


class CallerError(RatemillError):
    """The caller erred; carries every fault that was found, at least one."""

    status = 400
    code = 1000

    def __init__(self, message: str = "", *, code: int | None = None, faults: list[Fault] | None = None) -> None:
        self.faults = faults or [Fault(code or self.code, message)]
        super().__init__(message or self.faults[0].message)


class BadRequest(CallerError):
    """The request cannot be understood or breaks a limit."""

    status, code = 400, 1400


class NotAuthenticated(CallerError):
    """No token, or one that is wrong, revoked or expired."""

    status, code = 401, 1401


class NotPermitted(CallerError):
    """The token lacks the right."""

    status, code = 403, 1403


class NotFound(CallerError):
    """No such thing, or one of another owner."""

    status, code = 404, 1404


class Conflict(CallerError):
    """The state of the thing does not allow it."""

    status, code = 409, 1409


class PreconditionFailed(CallerError):
    """The thing has changed since the caller read it."""

    status, code = 412, 1412


class BodyTooLarge(CallerError):
    """The body is over the limit."""

    status, code = 413, 1413


class WrongMediaType(CallerError):
    """The Content-Type is not the dialect's."""

    status, code = 415, 1415


class KeyReused(CallerError):
    """The Idempotency-Key came with another request before."""

    status, code = 422, 1422


class TooManyRequests(CallerError):
    """Over the backlog bound; the caller may try again after ``retry_after_s`` seconds."""

    status, code, retry = 429, 1429, True

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(RatemillError):
    """The database or another part of the world is not there now."""

    status, retry = 503, True


class UsageFault(RatemillError):
    """A command was used wrongly (exit code 2) or what it was given does not fit (exit code 1)."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class InvariantFailure(RatemillError):
    """We erred: what must hold does not. Never caught to go on with the work."""


def invariant(holds: bool, message: str) -> None:
    """Raise ``InvariantFailure`` unless ``holds``; unlike ``assert``, never switched off."""
    if not holds:
        fail(message)


def fail(message: str) -> NoReturn:
    """Raise ``InvariantFailure``."""
    raise InvariantFailure(message)
