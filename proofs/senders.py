"""Senders of usage that retry by the contract, and the books that they keep of what was acknowledged.

Each record has a number of its own, which is its uniqueness identifier; its quantity follows from the number. So what was
charged can be compared with what was acknowledged record by record, and the amounts to the last digit.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Event, Thread
from typing import Any

import httpx
from tests.fixtures.mill import PATH, guide_row

from ratemill.client.calls import Client
from ratemill.store.connections import Database, driver

NUMBERS = 100_000_000  # each sender numbers its records within a span of its own
PRICE = Decimal("0.0123")
SIZES = (1, 1, 3, 40, 300, 1_000)  # records in a request: most requests are small, most records come in large ones
PAUSE_S = 1.0  # on average between two requests of a sender, so that the audits keep up with the load
RETRY_S = 900.0  # longer than any outage of a proof
LOST_S = 0.001  # the time-out of a request whose sender goes away


@dataclass
class Books:
    """What a sender knows: spans of numbers [first, last), and every answer that the contract does not allow."""

    acknowledged: list[range] = field(default_factory=list)
    abandoned: list[range] = field(default_factory=list)
    retries: dict[str, int] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def note_retry(self, why: str) -> None:
        """Count a retry by its cause."""
        self.retries[why] = self.retries.get(why, 0) + 1


def quantity(number: int) -> int:
    """Return the quantity of a record."""
    return 1 + number % 997


def row(number: int) -> str:
    """Return a record in the guide's format."""
    return guide_row(unique=str(number), value=str(quantity(number)))


class Sender(Thread):
    """One sender; ``stop`` lets it finish the request in hand."""

    def __init__(self, number: int, seed: int, *, sizes: tuple[int, ...] = SIZES, pause_s: float = PAUSE_S) -> None:
        super().__init__(daemon=True)
        self.books, self._stopping = Books(), Event()
        self._next, self._name = number * NUMBERS + 1, f"sender-{seed}-{number}"
        self._rng, self._sizes, self._pause_s = random.Random(f"{seed} {number}"), sizes, pause_s

    def run(self) -> None:
        """Send requests until told to stop."""
        try:
            while not self._stopping.is_set():
                size = self._rng.choice(self._sizes)
                numbers = range(self._next, self._next + self._rng.randint(max(1, size // 2), size))
                self._next = numbers.stop
                self.send(numbers, f"{self._name}-{numbers.start}")
                self._stopping.wait(self._rng.uniform(0, 2 * self._pause_s))
        except Exception as error:  # noqa: BLE001 -- the proof reports it
            self.books.troubles.append(repr(error))

    def stop(self, seconds: float = 120) -> None:
        """Finish the request in hand and end."""
        self._stopping.set()
        self.join(seconds)
        assert not self.is_alive(), "a sender could not finish its last request"

    def send(self, numbers: range, key: str) -> None:
        """Send one request until it is acknowledged."""
        raise NotImplementedError


class ProductSender(Sender):
    """A sender that uses the product's own client."""

    def __init__(self, number: int, seed: int, url: str, token: str, **options: Any) -> None:
        super().__init__(number, seed, **options)
        self._client = Client(url, token, retry_s=RETRY_S, say=self._note)

    def send(self, numbers: range, key: str) -> None:
        """Send one request until it is acknowledged."""
        self._client.post_rows("guideFeed", [row(number) for number in numbers], key)
        self.books.acknowledged.append(numbers)

    def _note(self, why: str) -> None:
        self.books.note_retry("unreachable" if why.startswith("http") else why.split(":", maxsplit=1)[0])


class RawSender(Sender):
    """A sender written from the documentation alone; now and then it goes away without waiting for an answer."""

    def __init__(self, number: int, seed: int, url: str, token: str, **options: Any) -> None:
        super().__init__(number, seed, **options)
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def send(self, numbers: range, key: str) -> None:
        """Send one request until it is acknowledged; one in twenty is sent once and its answer not waited for."""
        body = {"data": [row(number) for number in numbers]}
        if self._rng.random() < 0.05:
            self.books.abandoned.append(numbers)
            with suppress(httpx.TransportError):
                self._http.post(f"{PATH}/DataImport/Usage/guideFeed", json=body, timeout=LOST_S)
            return
        while (pause := self._try(body, numbers, key)) is not None:
            self._pause_before_retry(pause)

    def _try(self, body: dict[str, Any], numbers: range, key: str) -> float | None:
        """Send once; return after how many seconds to send again, None if there is no need to."""
        try:
            answer = self._http.post(f"{PATH}/DataImport/Usage/guideFeed", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError as error:
            self.books.note_retry(type(error).__name__)
            return 0.5
        if answer.status_code == 200:
            self.books.acknowledged.append(numbers)
            return None
        self.books.note_retry(str(answer.status_code))
        if answer.status_code in {429, 503} and answer.headers.get("Retry-After", "").isdigit():
            return float(answer.headers["Retry-After"])
        if answer.status_code == 409 and "still being" in answer.text:
            return 0.5
        self.books.troubles.append(f"{answer.status_code} {dict(answer.headers)} {answer.text[:300]}")
        return 1.0

    def _pause_before_retry(self, pause: float) -> None:
        Event().wait(pause)


@contextmanager
def sending(*senders: Sender) -> Iterator[None]:
    """Let senders send while the block runs."""
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        for sender in senders:
            sender._stopping.set()


@dataclass(frozen=True)
class Tally:
    """What became of the records of all senders."""

    acknowledged: int
    abandoned: int
    charged: int
    amount: Decimal


def tally(database: Database, senders: list[Sender]) -> Tally:
    """Compare what was charged with what was acknowledged, record by record; fail where they differ."""
    acknowledged = {number for sender in senders for span in sender.books.acknowledged for number in span}
    abandoned = {number for sender in senders for span in sender.books.abandoned for number in span}
    with database.worker() as connection:
        found = (
            driver(connection).execute("select uniqueness_identifier::bigint, quantity, amount from charges").fetchall()
        )
        others = {
            table: driver(connection).execute(f"select count(*) from {table}").fetchone()
            for table in ("import_exceptions", "rating_exceptions", "duplicates", "skipped")
        }
        faults = driver(connection).execute("select row_index, faults from import_exceptions limit 5").fetchall()
    assert set(others.values()) == {(0,)}, f"healthy records did not become charges: {others}; {faults}"
    numbers = [number for number, _, _ in found]
    charged = set(numbers)
    assert len(numbers) == len(charged), f"{len(numbers) - len(charged)} records were charged twice"
    assert not acknowledged - charged, f"acknowledged and not charged: {sorted(acknowledged - charged)[:20]}"
    assert charged <= acknowledged | abandoned, (
        f"charged, never sent: {sorted(charged - acknowledged - abandoned)[:20]}"
    )
    for number, counted, amount in found:
        assert (counted, amount) == (quantity(number), quantity(number) * PRICE), (number, counted, amount)
    amount = sum((amount for _, _, amount in found), Decimal())
    assert amount == sum(quantity(number) for number in charged) * PRICE
    return Tally(len(acknowledged), len(abandoned), len(charged), amount)


def waiting(database: Database) -> int:
    """Return how many records wait."""
    with database.worker() as connection:
        found = driver(connection).execute("select coalesce(sum(rows_waiting), 0) from submissions").fetchone()
    return int(found[0]) if found else 0


def troubles(senders: list[Sender]) -> list[str]:
    """Return every answer that the contract does not allow."""
    return [trouble for sender in senders for trouble in sender.books.troubles]


def retries(senders: list[Sender]) -> str:
    """Return how often senders had to send again, by cause."""
    counted: dict[str, int] = {}
    for sender in senders:
        for why, times in sender.books.retries.items():
            counted[why] = counted.get(why, 0) + times
    return json.dumps(counted)
