"""The parts of a file that are under way: a few are sent at a time, and the answers are noted in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ratemill.client.errors import ClientError

Part = TypeVar("Part")
Reply = TypeVar("Reply")


@dataclass(slots=True)
class PartsUnderWay(Generic[Part, Reply]):
    """The parts under way, oldest first; ``note`` gets each part with its answer, which may raise."""

    send: Callable[[Part], Reply]
    note: Callable[[Part, Future[Reply]], None]
    in_flight: int
    is_enough: Callable[[], bool] = lambda: False
    pending: deque[tuple[Part, Future[Reply]]] = field(default_factory=deque)
    all_sent: bool = False

    @property
    def is_last(self) -> bool:
        """Whether the part that is being noted is the last one."""
        return self.all_sent and not self.pending

    def send_all(self, parts: Iterable[Part]) -> None:
        """Send every part, unless ``is_enough``; note every answer that comes, even after trouble, then raise that."""
        trouble: BaseException | None = None
        with ThreadPoolExecutor(self.in_flight) as threads:
            try:
                for part in parts:
                    while len(self.pending) >= self.in_flight:
                        self._note_next()
                    if self.is_enough():
                        break
                    self.pending.append((part, threads.submit(self.send, part)))
                self.all_sent = True
            except (ClientError, KeyboardInterrupt) as error:
                trouble = error
            while self.pending:
                try:
                    self._note_next()
                except ClientError as error:
                    trouble = trouble or error
        if trouble:
            raise trouble

    def _note_next(self) -> None:
        self.note(*self.pending.popleft())
