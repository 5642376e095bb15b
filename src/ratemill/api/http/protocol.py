"""One connection: the server's own protocol, with bounds on what a caller may send and on how long it may take.

A request that breaks a bound before it reaches the application is answered here, with one sentence of plain text. The
connection then lingers: it is closed for writing, and what still arrives is discarded for a while. Closed outright, the
caller's system would discard the answer together with the connection.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ratemill import logs
from ratemill.api.http.answers import EVERY_ANSWER, UNREAD_BODY
from ratemill.settings import Settings

LOOK_S = 0.5  # between two looks at all connections: a deadline may be missed by this much
LINGER_S = 5.0
FRAMING_BYTES = 64 * 1024  # of chunk sizes and extensions that a body may have in addition to its own size

log = logs.get(__name__)


class _Phase(Enum):
    """What a connection waits for."""

    FIRST = auto()  # the first byte of its first request
    HEAD = auto()
    BODY = auto()
    READ = auto()  # nothing: the request is here, its answer is not complete
    IDLE = auto()  # another request
    LINGERING = auto()  # the caller's end of the connection


class DeadlineWatch:
    """Every connection of a server, looked at twice a second for deadlines that have passed."""

    def __init__(self) -> None:
        self.lingering = 0
        self._connections: set[BoundedProtocol] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: BoundedProtocol) -> None:
        """Watch a connection until it is removed."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(LOOK_S, self._look, connection.loop)

    def remove(self, connection: BoundedProtocol) -> None:
        """Stop watching a connection."""
        self._connections.discard(connection)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._connections):
            connection.check(now)
        self._timer = loop.call_later(LOOK_S, self._look, loop) if self._connections else None


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests are bounded in size, number and time."""

    def __init__(
        self,
        settings: Settings,
        watch: DeadlineWatch,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._settings, self._watch = settings, watch
        self._phase, self._deadline = _Phase.FIRST, 0.0
        self._deaf = False  # what arrives is discarded
        self._looks_late = 0
        self._refusal: tuple[int, str] | None = None
        self._fields = self._head_bytes = self._unfinished_bytes = 0
        self._body_bytes = self._framing_bytes = self._discarded_bytes = self._heads_begun = 0
        self._unsent_bytes, self._unsent_since = 0, 0.0

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or refuse the connection if there are too many."""
        is_one_too_many = len(self.connections) >= self._settings.connections_max
        super().connection_made(transport)
        self._watch.add(self)
        self._deadline = self.loop.time() + self._settings.head_s_max
        if is_one_too_many:
            most = self._settings.connections_max
            log.debug("connection_refused", connections_max=most)
            self._refuse(503, f"All {most} connections are in use. Try again later.", "retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._watch.remove(self)
        if self._phase is _Phase.LINGERING:
            self._watch.lingering -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the connection has been given up."""
        if self._deaf:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        before, body_before, self._heads_begun = self._phase, self._body_bytes, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # no other protocol is spoken: the request is answered, and nothing is read after it
        except httptools.HttpParserError as error:
            self._refuse(*(self._refusal or (400, f"The request is not valid HTTP/1.1: {error}.")))
        else:
            self._count(len(data), before, self._body_bytes - body_before)

    def _count(self, size: int, before: _Phase, body: int) -> None:
        """Count what of the data the parser keeps to itself: a head without an end, the framing of chunks."""
        if self._phase is _Phase.HEAD:
            # A head that began behind another request in the same data is counted from the next data on.
            if not self._heads_begun or (self._heads_begun == 1 and before not in {_Phase.HEAD, _Phase.BODY}):
                self._unfinished_bytes += size
            if self._unfinished_bytes > self._settings.head_bytes_max + self._settings.target_bytes_max:
                self._refuse(*self._head_too_large())
        elif self._phase is _Phase.BODY:
            self._deadline, self._looks_late = self.loop.time() + self._settings.body_pause_s_max, 0
            if before is _Phase.BODY:
                self._framing_bytes += size - body
                if self._framing_bytes > FRAMING_BYTES + self._body_bytes:
                    self._refuse(400, "The chunks of the body are too small, or have too much data around them.")

    def check(self, now: float) -> None:
        """Close the connection if its caller has taken too long."""
        if self._phase is _Phase.LINGERING:
            if now >= self._deadline:
                self.transport.abort()
            return
        self._check_unsent(now)
        if self._deaf or self.flow.read_paused or self._phase in {_Phase.READ, _Phase.IDLE}:
            self._looks_late = 0  # nothing is awaited, or we are the slower ones
            if self._phase is _Phase.BODY:
                self._deadline = now + self._settings.body_pause_s_max
        elif now >= self._deadline:
            self._looks_late += 1  # what arrived while this process was busy is read before the second look
            if self._looks_late > 1:
                self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        if self._phase is _Phase.FIRST:
            self.transport.close()
        elif self._phase is _Phase.HEAD:
            most = self._settings.head_s_max
            self._refuse(408, f"The head of the request did not arrive within {most:g} seconds.")
        else:
            most = self._settings.body_pause_s_max
            self._refuse(408, f"No byte of the body arrived for {most:g} seconds.")

    def _check_unsent(self, now: float) -> None:
        """Give up an answer that the caller does not read."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent_bytes or not unsent:
            self._unsent_bytes, self._unsent_since = unsent, now
        elif now - self._unsent_since >= self._settings.answer_pause_s_max:
            log.debug("answer_unread", bytes=unsent)
            self.transport.abort()

    # one request: what the parser calls

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._phase, self._deadline = _Phase.HEAD, self.loop.time() + self._settings.head_s_max
        self._looks_late = 0
        self._heads_begun += 1
        self._fields = self._head_bytes = self._unfinished_bytes = 0
        self._body_bytes = self._framing_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take the path and the query, or a part of them."""
        super().on_url(url)
        if len(self.url) > self._settings.target_bytes_max:
            self._stop(414, f"Path and query have more than {self._settings.target_bytes_max} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; one that comes after the body is counted and ignored."""
        self._fields += 1
        self._head_bytes += len(name) + len(value) + len(b": \r\n")
        if self._fields > self._settings.head_fields_max:
            self._stop(431, f"The request has more than {self._settings.head_fields_max} header fields.")
        if self._head_bytes > self._settings.head_bytes_max:
            self._stop(*self._head_too_large())
        if self._phase is _Phase.HEAD:
            if name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
                self._stop(501, "The only Transfer-Encoding that is accepted is chunked.")
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless too many requests wait on this connection already."""
        if self.parser.get_method() == b"CONNECT":
            self._stop(400, "CONNECT is not accepted: this is not a proxy.")
        if self.parser.should_upgrade() and not {b"content-length", b"transfer-encoding"}.isdisjoint(
            dict(self.headers)
        ):
            self._stop(400, "A request that asks for another protocol must not have a body.")
        if len(self.pipeline) >= self._settings.pipelined_requests_max:
            self._stop(429, "Too many requests wait on this connection.")
        super().on_headers_complete()
        cycle, self._phase = self.cycle, _Phase.BODY
        cycle.transport = _AnswerTransport(self)  # type: ignore[assignment]
        self.scope[UNREAD_BODY] = lambda: cycle.more_body  # type: ignore[literal-required]
        if self.parser.should_upgrade():
            cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._phase = _Phase.READ
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for another request, unless the connection is being closed."""
        if self._phase is _Phase.LINGERING:
            self.server_state.total_requests += 1
            return
        if self._phase is _Phase.READ:
            self._phase = _Phase.IDLE
        super().on_response_complete()

    # giving up

    def _head_too_large(self) -> tuple[int, str]:
        return 431, f"The header fields have more than {self._settings.head_bytes_max} bytes."

    def _stop(self, status: int, message: str) -> None:
        """End the parsing of a request that breaks a bound."""
        self._refusal = status, message
        raise ValueError(message)

    def _refuse(self, status: int, message: str, fields: str = "") -> None:
        """Answer a request that cannot be read, unless others wait for their answers: the connection ends with those."""
        if self._deaf:
            return
        self._deaf = True
        is_answered = self.cycle is None or self.cycle.response_complete
        if not is_answered and self._phase is not _Phase.BODY:
            self.cycle.keep_alive = False
            return
        if not is_answered:  # it is this request's own
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(_plain_answer(status, message, fields))
        self.linger()

    def finish(self) -> None:
        """Close the connection after an answer; it lingers if the caller may still be sending."""
        if self._deaf or self._phase in {_Phase.HEAD, _Phase.BODY}:
            self.linger()
        else:
            self.transport.close()

    def linger(self) -> None:
        """Send nothing more, and discard what arrives until the caller closes the connection, for some seconds."""
        self._unset_keepalive_if_required()
        self._deaf = True
        self.connections.discard(self)
        if self._watch.lingering >= self._settings.connections_max:
            self.transport.close()
            return
        if self._phase is not _Phase.LINGERING:
            self._watch.lingering += 1
        self._phase, self._deadline = _Phase.LINGERING, self.loop.time() + LINGER_S
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._phase is not _Phase.LINGERING:
            self.flow.pause_reading()
        elif self._discarded_bytes > self._settings.body_bytes_max:
            self.transport.abort()


class _AnswerTransport:
    """What an answer is written to: the connection, which closes in its own way."""

    def __init__(self, connection: BoundedProtocol) -> None:
        self._connection, self._transport = connection, connection.transport
        self.write, self.is_closing = self._transport.write, self._transport.is_closing

    def close(self) -> None:
        """Close the connection once everything is written."""
        if not self._transport.is_closing():
            self._connection.finish()


def _plain_answer(status: int, message: str, fields: str) -> bytes:
    every = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in EVERY_ANSWER)
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
    length = f"content-length: {len(message.encode())}\r\n"
    return f"{head}{length}{every}{fields}connection: close\r\n\r\n{message}".encode()
