"""A worker keeps its memory while a profile makes a thousand times more text of the rows than they have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from tests.fixtures.mill import Mill, guide_row, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

REQUESTS, ROWS = 5, 1_000
CHARS = 65_536
PEAK_MB_MAX = 600  # 400 MB measured; the texts together have 330 MB

GROWING = f"""
ratemill: 1
dataProfiles:
  - name: growing
    format: csv
    fields: [{{name: DateTime}}, {{name: UdrIdentifierTypeName}}, {{name: OriginatingIdentifier}},
             {{name: TerminatingIdentifier, transforms: [{{type: substitute, from: x, to: "{"y" * 256}"}},
                                                         {{type: regex, pattern: y, replacement: "{"z" * 256}"}}]}},
             {{name: UdrUsageIdentifier}}, {{name: Value}}, {{name: Inbound}}, {{name: ReverseRating}},
             {{name: UsageClassName}}, {{name: UsageClassTypeName}}, {{name: UniquenessIdentifier}}]
udrFeeds: [{{name: growing, apiName: growing, dataProfileName: growing, batchWaitSeconds: 0}}]
"""

WORKER = """
import sys
from threading import Event
from ratemill.intake.worker import Worker
from ratemill.settings import Settings
from ratemill.store.connections import Database

def memory(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) // 1024

settings = Settings(worker_growth_bytes_max=int(sys.argv[2]))
worker = Worker(Database(sys.argv[1], settings), settings, Event())
before = memory("VmRSS")
while worker.step():
    pass
print("memory", before, memory("VmRSS"), memory("VmHWM"))
"""


@pytest.fixture
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply(GROWING)
        yield made


def test_five_thousand_rows_that_grow_to_64_k_characters(
    guide: Mill, dsn: str, figures: Callable[[str], None], settings: Settings
):
    for request in range(REQUESTS):
        rows = [guide_row(terminating="x", unique=f"{request} {row}") for row in range(ROWS)]
        assert guide.post_rows(*rows, feed="growing").status_code == 200
    bytes_max = settings.worker_growth_bytes_max
    done = subprocess.run(
        [sys.executable, "-c", WORKER, dsn, str(bytes_max)], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    before, after, peak = map(int, done.stdout.split("memory")[-1].split())
    lengths = "select count(*), min(length(terminating_identifier)) from charges"
    assert guide.rows(lengths) == [(REQUESTS * ROWS, CHARS)]
    assert guide.value("select count(*) from work_attempts") == 0
    guide.assert_ties()
    figures(
        f"resident MB before {before}, after {after}, at most {peak}; {guide.value('select count(*) from batches')} batches"
    )
    assert peak < PEAK_MB_MAX
