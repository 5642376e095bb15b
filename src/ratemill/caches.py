"""What a process keeps from one piece of work to the next, within a bound; created where the process starts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Values by key: the least recently used is forgotten when there are too many, or when together they weigh too much.

    The newest value is kept even if it alone is over the weight: to read it again for each table would cost more. Threads
    may share a cache, so a value is replaced, never altered.
    """

    def __init__(
        self, *, entries_max: int, weight_max: int | None = None, weigh: Callable[[Value], int] | None = None
    ) -> None:
        self._entries_max = entries_max
        self._weight_max = weight_max
        self._weigh = weigh
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self._values)

    @property
    def weight(self) -> int:
        """Return what the values weigh together."""
        return self._weight

    def get(self, key: Key) -> Value | None:
        """Return the value of ``key``, now the most recently used; None if there is none."""
        with self._lock:
            entry = self._values.get(key)
            if entry is None:
                return None
            self._values.move_to_end(key)
            return entry[0]

    def put(self, key: Key, value: Value) -> None:
        """Keep ``value`` as the most recently used, and forget what is over the bound."""
        weight = self._weigh(value) if self._weigh else 0
        with self._lock:
            self._remove(key)
            self._values[key] = value, weight
            self._weight += weight
            while len(self._values) > 1 and self._is_over():
                self._remove(next(iter(self._values)))

    def _is_over(self) -> bool:
        return len(self._values) > self._entries_max or (
            self._weight_max is not None and self._weight > self._weight_max
        )

    def _remove(self, key: Key) -> None:
        _, weight = self._values.pop(key, (None, 0))
        self._weight -= weight


TEXTS_MAX = 4_096
TEXT_CHARS_MAX = 256  # with this and 4,096 texts a cache has 4 MB at most

Result = TypeVar("Result")


def cache_short_texts(function: Callable[[str], Result]) -> Callable[[str], Result]:
    """Cache a pure function of a text that a sender wrote; longer texts than ``TEXT_CHARS_MAX`` are not kept."""
    cached = lru_cache(maxsize=TEXTS_MAX)(function)

    @wraps(function)
    def call(text: str) -> Result:
        return cached(text) if len(text) <= TEXT_CHARS_MAX else function(text)

    return call
