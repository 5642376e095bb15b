"""What a process that rates keeps from one table to the next."""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.caches import Cache
from ratemill.settings import Settings
from ratemill.setup.in_force.book import SetupCaches
from ratemill.setup.in_force.holders import KnownHolders, holder_cache
from ratemill.store.charges.outcomes import ChargedCaches


@dataclass(frozen=True, slots=True)
class RatingCaches:
    """The caches of one process and one database."""

    setup: SetupCaches
    holders: Cache[int, KnownHolders]
    charged: ChargedCaches

    @classmethod
    def within(cls, settings: Settings) -> RatingCaches:
        """Return empty caches within the bounds of the settings."""
        holder_bytes_max = settings.worker_cache_bytes_max // 3
        book_bytes_max = settings.worker_cache_bytes_max - holder_bytes_max
        return cls(SetupCaches.within(book_bytes_max), holder_cache(holder_bytes_max), ChargedCaches())
