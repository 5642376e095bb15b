"""The API on a port of its own, and its callers on bare sockets."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Self

from tests.processes import wait_until

from ratemill.api.server import make_server
from ratemill.settings import Settings
from ratemill.store.connections import Database

PATIENCE_S = 60.0  # of a caller, on a busy machine


@contextmanager
def served(database: Database, settings: Settings) -> Iterator[int]:
    """Serve while the block runs; yield the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        server = make_server(database, settings)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


class Caller:
    """A caller who writes bytes and reads bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes | str) -> Caller:
        """Send bytes, as far as they are taken."""
        with suppress(BrokenPipeError, ConnectionResetError):  # the answer tells why
            self.socket.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def head(self, request: str, *fields: str) -> Caller:
        """Send the head of a request."""
        return self.send("\r\n".join([f"{request} HTTP/1.1", "Host: localhost", *fields, "", ""]))

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, header fields and body of the next answer."""
        status, fields = self.read_head()
        length = int(fields.get("content-length", 0))
        while len(self._unread) < length:
            self._read()
        body, self._unread = self._unread[:length], self._unread[length:]
        return status, fields, body

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Return status and header fields of the next answer."""
        while b"\r\n\r\n" not in self._unread:
            self._read()
        head, _, rest = self._unread.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._unread = rest
        return int(first.split()[1]), fields

    def status(self) -> int:
        """Return the status of the next answer."""
        return self.answer()[0]

    def is_closed(self) -> bool:
        """Wait until the other side closes; True if it sent nothing before."""
        try:
            return self._unread + self.socket.recv(65_536) == b""
        except ConnectionResetError:
            return True

    def hears_nothing(self, seconds: float) -> bool:
        """Listen for some time; True if nothing came and the connection is open."""
        return not select.select([self.socket], [], [], seconds)[0]

    def _read(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"closed after {self._unread!r}"
        self._unread += data
