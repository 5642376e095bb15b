"""What every answer has: no cache keeps it, no browser guesses its type, and it closes the connection of an unread body."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVERY_ANSWER = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
UNREAD_BODY = "ratemill.unread_body"
"""Under this name the server puts a function into the scope: whether some of the body has not arrived yet."""

_CLOSE = (b"connection", b"close")


class AnswerHeaders:
    """Middleware around all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add to the answer's header fields. An error whose answer is complete has been logged and ends here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_complete = False

        async def complete(message: Message) -> None:
            nonlocal is_complete
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *EVERY_ANSWER]
                if UNREAD_BODY in scope and scope[UNREAD_BODY]():
                    message["headers"].append(_CLOSE)
            await send(message)
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, complete)
        except Exception:
            if not is_complete:
                raise
        finally:
            scope.pop(UNREAD_BODY, None)  # the function holds what the scope is part of: a circle for the collector
