"""The load: clients that send one request after the other, and the clock that stops when the last charge can be read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import perf_counter

from bench.month import ROWS_A_REQUEST
from bench.product import Product, pss_mb

CLIENTS = 16
REQUESTS_AT_WORK_MAX = 120  # three tables of 40,000 records
MEMORY_EVERY_S = 5.0  # to look costs some milliseconds a process


@dataclass(slots=True)
class Run:
    """What one run measured."""

    records: int
    seconds: float = 0.0
    accept_seconds: list[float] = field(default_factory=list)
    pss_mb: float = 0.0

    @property
    def records_a_second(self) -> float:
        """From the first byte sent to the last charge read."""
        return self.records / self.seconds


def at_share(figures: list[float], share: float) -> float:
    """Return the figure below which that share of all lies: 0.99 gives the 99th percentile."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def send(product: Product, feed: str, bodies: list[bytes]) -> Run:
    """Send every body by 16 clients; the clock stops when the last submission is done and its charges can be read."""
    run = Run(records=len(bodies) * ROWS_A_REQUEST)
    waiting: SimpleQueue[bytes] = SimpleQueue()
    for body in bodies:
        waiting.put(body)
    with _memory_watched(product, run):
        start = perf_counter()
        with ThreadPoolExecutor(CLIENTS) as clients:
            sent = list(clients.map(lambda _: _client(product, feed, waiting, run), range(CLIENTS)))
        answers = sorted(answer for answers in sent for answer in answers)
        wait_for_charges(product, [tracking_id for _, tracking_id in answers])
        run.seconds = perf_counter() - start
    return run


def latency_seconds(product: Product, feed: str, bodies: list[bytes]) -> list[float]:
    """Return how long each body of one record took from its sending until its charge could be read, one after the other."""
    connection = product.connect()
    found = []
    for body in bodies:
        start = perf_counter()
        tracking_id = product.post(connection, feed, body)["trackingId"]
        while product.get(connection, f"/Udr/Charge/Paged?trackingId={tracking_id}")["pagedResults"]["totalCount"] == 0:
            pass
        found.append(perf_counter() - start)
    return found


def wait_for_charges(product: Product, tracking_ids: list[str]) -> None:
    """Wait until none of the requests waits, given in the order in which they were accepted; read the last one's charge.

    Workers take requests in order, at most a table each at a time: only the last ones need to be asked for.
    """
    connection = product.connect()
    for tracking_id in tracking_ids[-REQUESTS_AT_WORK_MAX:]:
        while product.get(connection, f"/DataImport/History/{tracking_id}?wait=10")["instance"]["importWaitingCount"]:
            pass
    page = product.get(connection, f"/Udr/Charge/Paged?trackingId={tracking_ids[-1]}&pageSize=1")
    if not page["pagedResults"]["items"]:
        raise RuntimeError("the last request left no charge")


def _client(product: Product, feed: str, waiting: SimpleQueue[bytes], run: Run) -> list[tuple[float, str]]:
    connection = product.connect()
    answers = []
    while True:
        try:
            body = waiting.get_nowait()
        except Empty:
            return answers
        start = perf_counter()
        tracking_id = product.post(connection, feed, body)["trackingId"]
        answers.append((perf_counter(), tracking_id))
        run.accept_seconds.append(perf_counter() - start)


class _memory_watched:  # noqa: N801 -- reads as the block that it opens
    """Keep the highest memory of the product while the block runs."""

    def __init__(self, product: Product, run: Run) -> None:
        self._run, self._over = run, Event()
        self._roots = product.roots()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(MEMORY_EVERY_S):
            self._run.pss_mb = max(self._run.pss_mb, pss_mb(self._roots))
