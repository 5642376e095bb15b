"""``ratemill serve``, and the processes that it starts: the API, ``ratemill worker`` and ``ratemill jobs``."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Annotated

import typer

from ratemill import heartbeat
from ratemill.access.database import Database, opened_before
from ratemill.cli.network import check_listening
from ratemill.cli.terminal.common import opened_database, read_settings
from ratemill.intake import listening, supervisor
from ratemill.priority import give_way
from ratemill.settings import WORKER_CONNECTIONS, Settings

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Listen without TLS although other machines can reach the address.")
]
WithParent = Annotated[bool, typer.Option("--with-parent", hidden=True)]
Spare = Annotated[bool, typer.Option("--spare", hidden=True)]
Heartbeat = Annotated[int, typer.Option("--heartbeat", help="File that the heartbeat is counted in.", hidden=True)]
Listeners = Annotated[list[int] | None, typer.Option("--listener", help="Socket to listen on.", hidden=True)]

NONE = -1  # no file
CONNECTIONS_MAX = WORKER_CONNECTIONS - 1  # the sign of life has a connection outside the pool
API_CONNECTIONS_MAX = 16  # requests that hold a database connection at once; the others wait for one


def serve(host: Host = "127.0.0.1", port: Port = 8080, insecure: Insecure = False) -> None:
    """Run the API, workers and jobs, and the embedded database if no other is named, until SIGTERM or Ctrl-C."""
    settings = read_settings()
    check_listening(settings, host, insecure=insecure)
    supervisor.serve(settings, host=host, port=port)


def worker(with_parent: WithParent = False, heartbeat_file: Heartbeat = NONE) -> None:
    """Run one worker: take waiting submissions through mediation and rating until SIGTERM."""
    settings = read_settings()
    give_way(os.getpid())
    os.environ.setdefault("POLARS_MAX_THREADS", str(settings.worker_threads))
    from ratemill.intake.worker import Worker  # after the threads are set: the table engine reads them when it loads

    stopping = _stopping(with_parent=with_parent)
    with _database(settings, heartbeat_file, connections_max=CONNECTIONS_MAX) as database:
        database.while_waiting = heartbeat.beat
        Worker(database, settings, stopping).run()


def jobs(with_parent: WithParent = False, spare: Spare = False, heartbeat_file: Heartbeat = NONE) -> None:
    """Run the jobs that are due, such as reprocesses, until SIGTERM."""
    settings = read_settings()
    os.environ.setdefault("POLARS_MAX_THREADS", str(settings.worker_threads))
    from ratemill.jobs.runner import Runner  # as above; the table engine itself loads with the first job

    if spare and not supervisor.is_called_in():
        return
    stopping = _stopping(with_parent=with_parent)
    with _database(settings, heartbeat_file, connections_max=CONNECTIONS_MAX) as database:
        database.while_waiting = heartbeat.beat
        Runner(database, settings, stopping).run()


def api(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    *,
    insecure: Insecure = False,
    with_parent: WithParent = False,
    heartbeat_file: Heartbeat = NONE,
    listeners: Listeners = None,
) -> None:
    """Run the API alone."""
    from ratemill.api import server  # the other commands need no web server

    settings = read_settings()
    if not with_parent:  # else `serve` has checked it
        check_listening(settings, host, insecure=insecure)
    if with_parent:
        orphaned = Event()
        supervisor.stop_with_parent(orphaned)
        Thread(target=_end_when, args=(orphaned,), daemon=True).start()
    sockets = [socket.socket(fileno=file) for file in listeners or ()]
    if not sockets:
        sockets = listening.open_sockets(host, port, is_held_by_earlier=lambda: False)
    with _database(settings, heartbeat_file, connections_max=API_CONNECTIONS_MAX) as database:
        server.run(database, settings, sockets)


@contextmanager
def _database(settings: Settings, heartbeat_file: int, *, connections_max: int) -> Iterator[Database]:
    """Yield the database. A process that ``serve`` starts has a heartbeat and opens nothing: ``serve`` has done it."""
    if heartbeat_file == NONE:
        with opened_database(settings, connections_max=connections_max) as database:
            yield database
        return
    heartbeat.share(heartbeat_file)
    database = opened_before(settings, connections_max=connections_max)
    try:
        yield database
    finally:
        database.close()


def _stopping(*, with_parent: bool) -> Event:
    """Return what is set when this process is to end: by a signal or, if it has a parent, with that."""
    stopping = Event()
    supervisor.stop_on_signals(stopping)
    if with_parent:
        supervisor.stop_with_parent(stopping)
    return stopping


def _end_when(orphaned: Event) -> None:
    orphaned.wait()
    os.kill(os.getpid(), signal.SIGTERM)
