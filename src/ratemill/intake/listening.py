"""The sockets of the API, opened before anything is started, so that a port in use ends the command and nothing else.

The supervisor keeps them open: while the API is started again, connections wait in the queue and are not refused.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep

from ratemill.errors import UsageFault
from ratemill.visible import shown

QUEUE_CONNECTIONS_MAX = 2_048  # connections that wait to be accepted
POLL_S = 0.1
HELD_S_MAX = 15.0  # processes of a killed `serve` end within this, and their port is free
CANNOT_SERVE = 3  # exit code


def open_sockets(host: str, port: int, *, is_held_by_earlier: Callable[[], bool]) -> list[socket.socket]:
    """Listen on a port of every address of a host; raise ``UsageFault`` with one sentence if that cannot be.

    ``is_held_by_earlier`` shows whether processes of an earlier ``serve`` are still running: then the port is waited for.
    """
    deadline = monotonic() + HELD_S_MAX
    while True:
        try:
            return _listen_on_all(_addresses(host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and is_held_by_earlier() and monotonic() < deadline:
                sleep(POLL_S)
                continue
            raise UsageFault(_sentence(host, port, error), exit_code=CANNOT_SERVE) from error


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str | int, ...]]]:
    try:
        answers = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise UsageFault(
            f"cannot listen on '{shown(host)}': unknown host; give an address or a name of this machine with --host",
            exit_code=CANNOT_SERVE,
        ) from error
    return list(dict.fromkeys((family, (str(address[0]), *address[1:])) for family, _, _, _, address in answers))


def _listen_on_all(addresses: list[tuple[socket.AddressFamily, tuple[str | int, ...]]]) -> list[socket.socket]:
    """Listen on each address that this machine has; a name such as localhost may stand for one that it lacks."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sockets.append(_listen(family, address))
            except OSError as error:
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                missing = error
    except OSError:
        close(sockets)
        raise
    if missing and not sockets:
        raise missing
    return sockets


def _listen(family: socket.AddressFamily, address: tuple[str | int, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(QUEUE_CONNECTIONS_MAX)
    except OSError:
        listener.close()
        raise
    return listener


def close(sockets: list[socket.socket]) -> None:
    """Stop listening."""
    for listener in sockets:
        with suppress(OSError):
            listener.close()


def _sentence(host: str, port: int, error: OSError) -> str:
    where = f"cannot listen on port {port} of '{shown(host)}'"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: the port is in use; stop the process that uses it, or choose another with --port"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{where}: no permission; ports below 1024 are for root, choose another with --port"
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return f"{where}: this machine does not have the address; give one that it has with --host"
    return f"{where}: {error.strerror or error}; choose another address with --host and --port"
