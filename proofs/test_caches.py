"""The memory of a worker that rates for many owners with large price books stays within the bound of its caches."""

from __future__ import annotations

import json
import os
import subprocess
import sys

OWNERS = 20
RATES = 200_000
BOOK_MB = 55
ROOM_MB = 200  # one book that is compiled, and what the allocator has not given back

PROGRAM = f"""
import json, random
from pathlib import Path

from bench.rating import price_tables
from ratemill.rating.book import compile_book
from ratemill.setup.in_force.price_books import BookAtChange, book_cache

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 / 1e6

prefixes = sorted(str(number) for number in random.Random(1).sample(range(10**5, 10**7), {RATES}))
tables = price_tables(prefixes)
cache = book_cache(256 * 1024 * 1024)
sizes = [resident_mb()]
for owner_id in range({OWNERS}):
    cache.put(owner_id, BookAtChange(owner_id, compile_book(tables, version=1)))
    sizes.append(resident_mb())
print(json.dumps([sizes, len(cache), cache.weight / 1e6]))
"""


def test_books_of_twenty_owners_stay_within_the_bound():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    sizes, kept, weight_mb = json.loads(done.stdout)
    print(f"resident {sizes[0]:.0f} MB before, {max(sizes):.0f} MB at most; {kept} books of {weight_mb:.0f} MB kept")
    assert kept == 4
    assert kept * BOOK_MB * 0.9 < weight_mb <= 256 * 1.048576
    assert max(sizes) - sizes[0] < 256 * 1.048576 + ROOM_MB
