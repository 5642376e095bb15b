"""What can go wrong for a caller of the HTTP API, each a fact.

ClientError
├── Rejection         the server answered, and said no: its status and every fault that it named
├── Unreachable       no answer that counts, however often it was tried; worth trying again
├── UntrustedServer   the server's certificate is not valid, or it speaks no TLS: nothing was sent
├── UnreadableFile    the file cannot be sent as it is; nothing of it was sent
├── ChangedFile       the file is not the one whose import was begun
├── ImportIsLate      the import stopped so long ago that the server may have forgotten what was under way then
└── ImportIsRunning   another process imports this file now
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratemill.errors import Fault, RatemillError


class ClientError(RatemillError):
    """Any trouble that the client names itself."""


class Rejection(ClientError):
    """The server refused the request; nothing of it was kept."""

    def __init__(self, status: int, faults: Sequence[Fault]) -> None:
        self.status = status
        self.faults = list(faults)
        super().__init__(f"{status}: " + "; ".join(fault.message for fault in faults))


class Unreachable(ClientError):
    """The server did not answer, or only that it cannot now; what was sent may or may not have been taken."""

    retry = True


class UntrustedServer(ClientError):
    """No encrypted connection to the server can be made; nothing was sent."""


class UnreadableFile(ClientError):
    """The file cannot be sent as it is; ``line`` is the first that shows it, counted from 1."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


class ChangedFile(ClientError):
    """The file is not the one whose import was begun."""


class ImportIsLate(ClientError):
    """The import stopped so long ago that the server may have forgotten the keys of what was under way then."""


class ImportIsRunning(ClientError):
    """Another process imports this file now."""


def faults_of(error: RatemillError) -> list[dict[str, Any]]:
    """Return the faults that the server named, or the line of the file that is at fault."""
    if isinstance(error, UnreadableFile):
        return [{"line": error.line, "message": str(error)}]
    if isinstance(error, Rejection):
        known = [
            {
                "code": each.code or None,
                "message": each.message,
                "row": each.row,
                "field": each.field,
                "path": each.path,
            }
            for each in error.faults
        ]
        return [{name: value for name, value in each.items() if value is not None} for each in known]
    return []
