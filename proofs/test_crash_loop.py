"""Every process killed by turns under load: each time serve recovers automatically and the counts tie.

At the end each acknowledged record is charged exactly once, to the exact amount. Four senders retry by the contract. Among
the victims are the supervisor (a service manager starts it again), the database and single processes of it; seven kills
are at the named points of the code, in a process that is added for it.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event
from time import monotonic

import httpx
import pytest
from proofs.installation import Figures, Installation, installation, wait_for
from proofs.senders import ProductSender, RawSender, Sender, retries, row, sending, tally, troubles, waiting
from tests.fixtures.mill import GUIDE, PATH
from tests.fixtures.processes import answers, free_port, started, was_killed

from ratemill.ledger.audit import audit

SEED = int(os.environ.get("PROOF_SEED", "11"))
WORKERS = 4
WORKER_POINTS = ("after-claim", "after-mediate", "after-rate", "mid-copy", "before-commit", "after-commit")
KILLS = {
    "api": 8,
    "worker": 14,
    "jobs": 4,
    "spare": 3,
    "supervisor": 6,
    "postmaster": 7,
    "backend": 7,
    "checkpointer": 2,
    "walwriter": 2,
    "api at after-accept-before-commit": 1,
    **{f"worker at {point}": 1 for point in WORKER_POINTS},
}
BETWEEN_S = 2.0  # at most, between the end of one recovery and the next kill


@dataclass
class Loop:
    """The kills so far and how long each took to recover from."""

    installed: Installation
    token: str
    rng: random.Random
    recoveries: dict[str, list[float]] = field(default_factory=dict)

    def kill(self, kind: str) -> None:
        """Kill one process of a kind, and wait until serve is well again."""
        name, _, point = kind.partition(" at ")
        if point:
            gone = self._die_at(name, point)
        else:
            gone = self._victim(name)
            os.kill(gone, signal.SIGKILL)
        took = self.installed.wait_well(gone=gone)
        self.recoveries.setdefault(name, []).append(took)

    def _victim(self, name: str) -> int:
        """Return the process to kill, waiting until there is one."""
        found: list[int] = []

        def appears() -> bool:
            found[:] = self._candidates(name)
            return bool(found)

        wait_for(appears, f"there is a {name} to kill")
        return self.rng.choice(found)

    def _candidates(self, name: str) -> list[int]:
        installed = self.installed
        if name == "supervisor":
            return [installed.serve.pid] if installed.serve else []
        if name in {"jobs", "spare"}:
            both = [each.pid for each in installed.commands("jobs")]
            return both[:1] if name == "jobs" else both[1:]
        if name in {"api", "worker"}:
            return [each.pid for each in installed.commands(name)]
        if name == "postmaster":
            return [pid for pid in [installed.postmaster()] if pid]
        return installed.database_processes({"backend": "ratemill ratemill"}.get(name, name))

    def _die_at(self, name: str, point: str) -> int:
        """Let one more process die at a named point of the code."""
        if name == "worker":
            with started("worker", **self.installed.settings, die_at=point) as worker:
                assert was_killed(worker, seconds=120)
            return worker.pid
        port, number = free_port(), 0
        with started("api", "--port", str(port), **self.installed.settings, die_at=point) as api:
            wait_for(lambda: answers(port), "the added API listens")
            with pytest.raises(httpx.TransportError):
                httpx.post(
                    f"http://127.0.0.1:{port}{PATH}/DataImport/Usage/guideFeed",
                    json={"data": [row(number)]},
                    headers={"Authorization": f"Bearer {self.token}"},
                    timeout=60,
                )
            assert was_killed(api, seconds=120)
        return api.pid

    def audit(self) -> int:
        """Hold that every record is accounted for; return how many there are."""
        with self.installed.database() as database:
            found = audit(database)
        assert found.holds, found.failures
        return found.records


@pytest.fixture
def installed() -> Iterator[Installation]:
    with installation(workers=str(WORKERS)) as made:
        yield made


@pytest.mark.timeout(1500)
def test_each_acknowledged_record_is_charged_once_after_60_kills(installed: Installation, figures: Figures):
    kinds = [kind for kind, times in KILLS.items() for _ in range(times)]
    assert len(kinds) == 60
    rng = random.Random(SEED)
    rng.shuffle(kinds)
    began = monotonic()
    figures(f"seed {SEED}")
    installed.start()
    installed.wait_well()
    token = installed.set_up(GUIDE)
    senders: list[Sender] = [ProductSender(number, SEED, installed.url, token) for number in (1, 2)]
    senders += [RawSender(number, SEED, installed.url, token) for number in (3, 4)]
    loop = Loop(installed, token, rng)
    with sending(*senders):
        for number, kind in enumerate(kinds, 1):
            Event().wait(rng.uniform(0, BETWEEN_S))
            try:
                loop.kill(kind)
                records = loop.audit()
            except BaseException as error:
                error.add_note(f"kill {number} of {len(kinds)}: {kind}")
                raise
            assert not troubles(senders), (number, kind, troubles(senders))
            if number % 10 == 0:
                figures(f"{number} kills, {records} records tie, {monotonic() - began:.0f} s")
        for sender in senders:
            sender.stop()
    with installed.database() as database:
        wait_for(lambda: waiting(database) == 0, "all records are processed", seconds=180)
        counted = tally(database, senders)
    assert "The counts tie" in installed.run("audit")
    assert installed.stop() == 0
    wait_for(lambda: not installed.leftovers(), "no process is left behind", seconds=30)
    slowest = {name: round(max(took), 1) for name, took in loop.recoveries.items()}
    figures(
        f"seed {SEED}, {len(kinds)} kills, {counted.acknowledged} records acknowledged, {counted.abandoned} abandoned, "
        f"{counted.charged} charged, 0 refused, amount {counted.amount}, {monotonic() - began:.0f} s; "
        f"slowest recovery in s: {slowest}; sent again: {retries(senders)}"
    )
