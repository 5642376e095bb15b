"""A disk that fills up under load and is emptied again: nothing acknowledged is lost, nothing healthy is refused.

The home, and with it the database, its log and the uploads, is on a small file system of its own. It is filled twice: the
first time the database's tables cannot grow, the second time its write-ahead log cannot, which ends the server. Each time
requests are answered with 503 and Retry-After, and once there is room again everything continues automatically.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

import psycopg
import pytest
from proofs.installation import Figures, Installation, installation, wait_for
from proofs.senders import ProductSender, RawSender, Sender, retries, sending, tally, troubles, waiting
from tests.fixtures.mill import GUIDE

from ratemill.ledger.audit import audit
from ratemill.settings import Settings
from ratemill.store.embedded import embedded

SEED = 12
DISK_MB = 400  # an empty database, its log and some hundred thousand records fit in half of it
FULL_S = 20.0  # for how long the disk stays full
SEGMENTS = 12  # of the write-ahead log: more than the server keeps ready to use again


@pytest.fixture
def installed() -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="ratemill-proof-"))
    home = folder / "home"
    home.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "ratemill-proof", home],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"a small file system is needed, which only root may mount: {mounted.stderr.decode().strip()}")
    try:
        with installation(folder, workers="2", wal_size_max_mb="64", checkpoint_interval_s="30") as made:
            yield made
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)
        shutil.rmtree(folder)


class Ballast:
    """A file that takes all the room there is."""

    def __init__(self, home: Path) -> None:
        self._file = home / "ballast"

    def grow(self) -> None:
        """Take all room that is left, to the last block."""
        with self._file.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def remove(self) -> None:
        """Give the room back."""
        self._file.unlink()


def end_the_log(installed: Installation) -> None:
    """Let the server need new segments of its write-ahead log until it ends, as a load of gigabytes would."""
    server = embedded.ensure(Settings(home=installed.home))
    with suppress(psycopg.Error), psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        for _ in range(SEGMENTS):
            connection.execute("select pg_logical_emit_message(false, 'proof', 'proof')")
            connection.execute("select pg_switch_wal()")


def stays_full(installed: Installation, ballast: Ballast, senders: list[Sender]) -> None:
    """Keep the disk full until each sender was refused; nothing is answered but the promised 503."""
    until = monotonic() + FULL_S
    while monotonic() < until:
        ballast.grow()  # what the database gave back is taken, too
        Event().wait(0.2)
    assert not troubles(senders), troubles(senders)
    assert any("503" in sender.books.retries for sender in senders), retries(senders)


def continues(installed: Installation, ballast: Ballast, senders: list[Sender]) -> float:
    """Give the room back and return how long it takes until everything continues."""
    ballast.remove()
    took = installed.wait_well()
    before = [len(sender.books.acknowledged) for sender in senders]
    took += wait_for(
        lambda: all(len(sender.books.acknowledged) > count for sender, count in zip(senders, before, strict=True)),
        "every sender gets through again",
    )
    with installed.database() as database:
        found = audit(database)
    assert found.holds, found.failures
    return took


@pytest.mark.timeout(600)
def test_a_disk_that_fills_and_empties_costs_no_record(installed: Installation, figures: Figures):
    began = monotonic()
    installed.start()
    installed.wait_well()
    token = installed.set_up(GUIDE)
    senders: list[Sender] = [ProductSender(1, SEED, installed.url, token), RawSender(2, SEED, installed.url, token)]
    senders += [RawSender(number, SEED, installed.url, token, sizes=(1,), pause_s=0.1) for number in (3, 4)]
    ballast = Ballast(installed.home)
    with sending(*senders):
        wait_for(lambda: all(len(sender.books.acknowledged) > 5 for sender in senders), "the load is on")
        ballast.grow()
        stays_full(installed, ballast, senders)
        took = [continues(installed, ballast, senders)]
        postmaster = installed.postmaster()
        ballast.grow()
        end_the_log(installed)
        stays_full(installed, ballast, senders)
        failed = installed.run("audit", check=False)
        assert "Traceback" not in failed
        took.append(continues(installed, ballast, senders))
        ended = installed.postmaster() != postmaster or "PANIC" in installed.database_log()
        assert ended, "the write-ahead log never met the full disk"
        for sender in senders:
            sender.stop()
    with installed.database() as database:
        wait_for(lambda: waiting(database) == 0, "all records are processed", seconds=180)
        counted = tally(database, senders)
    assert "The counts tie" in installed.run("audit")
    assert installed.stop() == 0
    figures(
        f"filled twice for {FULL_S:.0f} s, {counted.acknowledged} records acknowledged, {counted.charged} charged, "
        f"0 refused, continued after {', '.join(f'{each:.1f}' for each in took)} s, {monotonic() - began:.0f} s; "
        f"sent again: {retries(senders)}"
    )
    assert os.strerror(errno.ENOSPC) in installed.database_log()
