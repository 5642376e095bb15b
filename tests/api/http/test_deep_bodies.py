"""A body of brackets: every route that takes a body answers 4xx, and no reader takes stack or memory for it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic

import pytest
from starlette.routing import Route
from tests.fixtures.mill import Mill, mill

from ratemill.api.server import create_app
from ratemill.settings import Settings
from ratemill.store.connections import Database

TAKING = [
    (route, method)
    for route in create_app(None, Settings()).routes  # type: ignore[arg-type]
    if isinstance(route, Route)
    for method in sorted(route.methods or ())
    if method in {"POST", "PUT", "PATCH"}
]
BRACKETS = 100_000
BODIES = ["[" * BRACKETS, '{"a":' * BRACKETS, '{"data":' + "[" * BRACKETS + "]" * BRACKETS + "}"]
ANSWER_S_MAX = 10  # of a busy machine; a parser that follows the brackets ends the process instead
NAMES = {"named": "User1s", "number": "1", "version": "1", "identity": "1"}


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def path_of(route: Route) -> str:
    """Return the path of a route with names in it that may exist."""
    feed = "guideFeed" if "/DataImport/Usage" in route.path else "1"
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: NAMES.get(found[1], feed), route.path)


@pytest.mark.parametrize("body", BODIES, ids=["lists", "objects", "closed"])
def test_every_route_answers_a_body_of_brackets_with_4xx(mine: Mill, body: str):
    wrong = []
    for route, method in TAKING:
        headers = {"Authorization": f"Bearer {mine.token}", "Content-Type": "application/json"}
        began = monotonic()
        answer = mine.client.request(method, path_of(route), content=body, headers=headers)
        took = monotonic() - began
        if not 400 <= answer.status_code < 500 or took > ANSWER_S_MAX:
            wrong.append((method, route.path, answer.status_code, round(took, 1)))
    assert TAKING
    assert wrong == []
    assert mine.value("select count(*) from submissions") == 0


PROGRAM = """
from functools import partial

from ratemill.errors import BadRequest
from ratemill.api import tokens
from ratemill.api.http.bodies import object_of
from ratemill.records import read_element, read_elements
from ratemill.reference import json_text

def peak_mb():
    line = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))  # of this program alone
    return int(line.split()[1]) // 1024

readers = [object_of, json_text.read, tokens._read]
readers += [partial(read_elements, route=route, rows_max=1_000) for route in ('rows', 'multi', 'single')]
readers += [partial(read_element, route=route) for route in ('rows', 'multi', 'single')]
idle = peak_mb()
size = 8 * 1024 * 1024
half = size // 2
for body in (b'[' * size, b'{"a":' * (size // 5), b'{"data":' + b'[' * half + b']' * half + b'}'):
    for read in readers:
        try:
            read(body)
        except (BadRequest, ValueError):
            continue
        raise AssertionError(read)
print(peak_mb() - idle)
"""


def test_a_body_of_8_mb_of_brackets_takes_no_stack_and_little_memory():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200
