"""Make a day of calls: 20,000 rows, always the same, for `ratemill import usage guideFeed FILE`.

The first row is the printed sample record; the others are calls of 300 lines to numbers all over the world. Some rows
are bad, some come twice, some are of lines that the set-up does not know yet (`late_lines.yaml` brings them), and some
go to a place that has no price. Run `python make_day.py FILE`.
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

CALLS = 20_000
LINES, LATE_LINES = 300, 3
REPEATED, OF_LATE_LINES, BAD = 8, 10, 7  # of a thousand rows
SAMPLE = (
    "2022-05-01T01:01:00.01,Unknown,4038675309,4038675345,648-688-4180,94,False,False,data_class,Data_1,"
    "2022-05-01T01:01:00.01"
)
DAY = datetime(2022, 5, 1, tzinfo=UTC)

# What numbers begin with, and how often they are called; 8816 is a satellite net without a pattern.
CALLED = {
    "1403": 300, "1416": 150, "1604": 80, "1212": 90, "1415": 70, "1808": 20, "1876": 10, "1907": 12,
    "4420": 40, "44161": 20, "447": 60, "4930": 30, "4989": 15, "4915": 25, "4917": 30, "331": 20, "336": 25,
    "9122": 30, "8135": 12, "8190": 10, "612": 12, "614": 14, "5255": 25, "5511": 15, "2711": 8, "2348": 6,
    "870": 2, "8816": 4,
}  # fmt: skip


def line(number: int) -> str:
    """Return the number of a line; those beyond the first 300 come late."""
    return f"40368{number:05d}"


def make_rows() -> list[str]:
    """Return the rows of the day, in the order in which the calls began."""
    rng = random.Random(20220501)
    starts = sorted(rng.randrange(8_640_000) for _ in range(CALLS - 1))  # in hundredths of a second
    rows = [SAMPLE]
    for number, start in enumerate(starts, 1):
        kind = rng.randrange(1_000)
        if kind < REPEATED and number > 1:
            rows.append(rows[rng.randrange(1, number)])
        else:
            is_late, is_bad = kind < REPEATED + OF_LATE_LINES, kind >= 1_000 - BAD
            rows.append(_call(rng, f"call-{number:05d}", start, is_late=is_late, is_bad=is_bad))
    return rows


def _call(rng: random.Random, name: str, start: int, *, is_late: bool, is_bad: bool) -> str:
    at = DAY + timedelta(milliseconds=10 * start)
    caller = line(LINES + rng.randrange(LATE_LINES) if is_late else rng.randrange(LINES))
    begin = rng.choices(list(CALLED), list(CALLED.values()))[0]
    called = begin + "".join(rng.choices("0123456789", k=11 - len(begin)))
    seconds = str(1 + int(rng.expovariate(1 / 180)))
    fields = [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 10_000:02d}", "Unknown", caller, called, caller, seconds]
    fields += ["False", "False", "voice", "Voice_1", name]
    return ",".join(_spoilt(rng, fields) if is_bad else fields)


def _spoilt(rng: random.Random, fields: list[str]) -> list[str]:
    """Return a row with one thing wrong: no number, no date, no class, a field too few."""
    wrong = rng.randrange(4)
    if wrong == 3:  # noqa: PLR2004 -- the last of the four
        return fields[:-1]
    place, text = ((5, "ninety"), (0, f"{fields[0][:11]}25:00:00"), (8, "vioce"))[wrong]
    return [*fields[:place], text, *fields[place + 1 :]]


def main() -> None:
    """Write the day to the file that the command line names."""
    Path(sys.argv[1]).write_text("\n".join(make_rows()) + "\n")


if __name__ == "__main__":
    main()
