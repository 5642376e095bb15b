"""A database that is frozen or cut off, for tests: its processes are stopped, or a proxy swallows what is sent."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


@contextmanager
def frozen(postmaster: int) -> Iterator[None]:
    """Stop every process of a server; let them go on at the end."""
    pids = [postmaster]
    try:
        os.kill(postmaster, signal.SIGSTOP)  # first, so that it starts no more of them
        pids += _children(postmaster)
        for pid in pids[1:]:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Proxy:
    """A TCP proxy to a server's Unix socket; while ``swallows`` is set it takes everything and passes on nothing."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._ends = Event()
        self.swallows = Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._ends.set()
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ends.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                thread = Thread(target=self._carry, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, client: socket.socket) -> None:
        with ExitStack() as stack:
            stack.enter_context(client)
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.connect(self._path)
            other = {client: server, server: client}
            while not self._ends.is_set():
                for source in select.select(list(other), [], [], 0.05)[0]:
                    try:
                        sent = source.recv(65_536)
                        if not sent:
                            return
                        if not self.swallows.is_set():
                            other[source].sendall(sent)
                    except OSError:
                        return


@contextmanager
def proxy_to(path: Path) -> Iterator[Proxy]:
    """Yield a proxy to the socket."""
    proxy = Proxy(path)
    try:
        yield proxy
    finally:
        proxy.close()
